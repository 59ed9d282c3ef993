"""A model or an agent that is registered remembers, whichever way it is asked, and nothing of the caller's changes."""

import copy
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from memori import Attribution, Memori, errors
from memori_pydantic_ai import MemoriMemory, memori_history_processor
from pydantic_ai import Agent, ImageUrl
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelMessage, ModelRequest, SystemPromptPart, TextContent, UserPromptPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.loopback import WIRES, LoopbackServer, async_anthropic, async_openai
from tests.pydantic_ai.agents import Recalls, Script, as_json, said

ADA = Attribution("ada")
Chat = Agent[None, str]


async def run(agent: Chat, history: list[ModelMessage] | None = None) -> list[ModelMessage]:
    return (await agent.run("What tea do I drink?", message_history=history)).all_messages()


async def stream(agent: Chat, history: list[ModelMessage] | None = None) -> list[ModelMessage]:
    async with agent.run_stream("What tea do I drink?", message_history=history) as answer:
        await answer.get_output()
        return answer.all_messages()


async def leave(agent: Chat, history: list[ModelMessage] | None = None) -> list[ModelMessage]:
    async with agent.run_stream("What tea do I drink?", message_history=history) as answer:
        async for _ in answer.stream_text(delta=True, debounce_by=None):
            return answer.all_messages()
    raise AssertionError("the stream was empty")


ways = pytest.mark.parametrize("way", [run, stream])
Way = Callable[[Chat], Awaitable[list[ModelMessage]]]


def shown(sent: list[ModelMessage]) -> int:
    return str(sent).count("<memori_context>")


@ways
@pytest.mark.parametrize("whole", [True, False])
async def test_an_agent_whose_model_is_registered_is_answered_with_what_is_known(
    memori: Memori, script: Script, recalls: Recalls, way: Way, whole: bool
) -> None:
    memori.remember("Ada drinks green tea.", attribution=ADA)
    agent = Agent(script.model)
    agent.tool_plain(name="look_up")(lambda: "nothing special")
    memori.llm.register(agent if whole else agent.model, attribution=ADA)

    history = await way(agent)

    first, second = script.sent
    assert shown(first) == shown(second) == 1
    assert "green tea" in str(first)
    assert as_json(second[: len(first)]) == as_json(first)
    assert shown(history) == 0
    assert [role for role, _ in said(memori, "ada")] == ["user", "assistant", "tool", "assistant"]
    assert said(memori, "ada")[-1][1].strip() == "Noted, thank you."
    assert len(recalls.queries) == 1


async def test_a_stream_left_early_is_stored_as_far_as_it_came(memori: Memori, script: Script) -> None:
    agent = Agent(script.model)
    memori.llm.register(agent, attribution=ADA)

    await leave(agent)

    question, answer = memori.messages(attribution=ADA)
    assert question.message.content == "What tea do I drink?"
    assert "Noted, thank you.".startswith(answer.message.content.strip())
    assert answer.message.partial


@ways
async def test_a_history_sent_again_is_stored_once(memori: Memori, script: Script, way: Way) -> None:
    agent = Agent(script.model)
    memori.llm.register(agent, attribution=ADA)

    history = await way(agent)
    await way(agent, history)  # type: ignore[call-arg]

    assert [role for role, _ in said(memori, "ada")] == ["user", "assistant"] * 2


@ways
async def test_agents_that_share_a_model_speak_each_for_their_own_user(
    memori: Memori, script: Script, way: Way
) -> None:
    model = script.model
    hers, his, nobodys = Agent(model), Agent(model), Agent(model)
    memori.remember("Ada drinks green tea.", attribution=ADA)
    memori.llm.register(hers, attribution=ADA).llm.register(his, attribution=Attribution("bob"))

    await way(nobodys)
    await way(his)
    assert said(memori, "ada") == []
    assert shown(script.sent[0]) == shown(script.sent[1]) == 0
    await way(hers)

    assert shown(script.sent[2]) == 1
    assert len(said(memori, "ada")) == len(said(memori, "bob")) == 2


@ways
async def test_two_memories_of_one_model_both_hear_it(memori: Memori, script: Script, way: Way, tmp_path: Path) -> None:
    agent = Agent(script.model)
    with Memori(f"sqlite:///{tmp_path / 'other.db'}", extractor="none", embedder="hashing") as other:
        memori.llm.register(agent, attribution=ADA)
        other.llm.register(agent, attribution=ADA)
        await way(agent)
        memori.llm.unregister(agent)
        await way(agent)

        assert [role for role, _ in said(memori, "ada")] == ["user", "assistant"]
        assert [role for role, _ in said(other, "ada")] == ["user", "assistant"] * 2


async def test_a_model_asked_directly_remembers_and_changes_nothing_it_was_given(
    memori: Memori, script: Script
) -> None:
    memori.remember("Ada drinks green tea.", attribution=ADA)
    model = script.model
    memori.llm.register(model, attribution=ADA)
    prompt = UserPromptPart(["What tea", ImageUrl("https://example.com/tea.png"), TextContent("do I drink?")])
    given: list[ModelMessage] = [ModelRequest(parts=[SystemPromptPart("Be kind."), prompt])]
    before = copy.deepcopy(given)

    await model_request(model, given)
    async with model_request_stream(model, given) as events:
        _ = [event async for event in events]

    assert given == before
    assert [shown(sent) for sent in script.sent] == [1, 1]
    assert said(memori, "ada")[0] == ("user", "What tea\n[image]\ndo I drink?")


async def test_the_block_goes_into_a_system_prompt_when_asked(tmp_path: object, script: Script) -> None:
    from memori import RecallOptions

    with Memori(
        f"sqlite:///{tmp_path}/m.db", extractor="none", embedder="hashing", recall=RecallOptions(inject="system")
    ) as it:
        it.remember("Ada drinks green tea.", attribution=ADA)
        agent = Agent(script.model)
        it.llm.register(agent, attribution=ADA)
        await run(agent)

    system, prompt = script.sent[0][0].parts
    assert isinstance(system, SystemPromptPart)
    assert "green tea" in system.content
    assert prompt.content == "What tea do I drink?"  # type: ignore[union-attr]


async def test_what_is_registered_can_be_let_go(memori: Memori, script: Script) -> None:
    agent = Agent(script.model)
    memori.llm.register(agent, attribution=ADA).llm.unregister(agent)

    await run(agent)
    await stream(agent)

    assert said(memori, "ada") == []
    assert "request" not in vars(agent.model)


async def test_without_an_attribution_a_call_goes_through_untouched(
    memori: Memori, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    agent = Agent(script.model)
    memori.llm.register(agent)

    await run(agent)
    await stream(agent)

    assert [shown(sent) for sent in script.sent] == [0, 0]
    assert "has no attribution" in caplog.text


@pytest.mark.parametrize("with_capability", [True, False])
async def test_beside_the_capability_or_the_processor_nothing_is_said_or_stored_twice(
    memori: Memori, script: Script, with_capability: bool
) -> None:
    memori.remember("Ada drinks green tea.", attribution=ADA)
    if with_capability:
        agent = Agent(script.model, capabilities=[MemoriMemory(memori, ADA)])
        memori.llm.register(agent, attribution=ADA)
        await run(agent)
        await stream(agent)
        assert [role for role, _ in said(memori, "ada")] == ["user", "assistant"] * 2
    else:
        processor = memori_history_processor(memori, ADA, capture=False)
        agent = Agent(script.model, capabilities=[ProcessHistory(processor)])
        memori.llm.register(agent, attribution=ADA)
        await run(agent)

    assert all(shown(sent) == 1 for sent in script.sent)
    assert not any("memori_context" in text for _, text in said(memori, "ada"))


def test_what_cannot_be_registered_says_what_to_register(memori: Memori) -> None:
    with pytest.raises(errors.UnknownClientError, match="has no model of its own"):
        memori.llm.register(Agent())
    with pytest.raises(errors.UnknownClientError, match="No LLM adapter recognises a pydantic_ai"):
        memori.llm.register(UserPromptPart("Hello."))


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(wires=WIRES) as server:
        yield server


@ways
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("how", ["capability", "processor", "registered"])
async def test_a_providers_own_client_sends_one_block_over_the_wire(
    memori: Memori, server: LoopbackServer, provider: str, how: str, way: Way
) -> None:
    memori.remember("Ada drinks green tea.", attribution=ADA)
    async with async_openai(server) as openai, async_anthropic(server) as anthropic:
        clients = {"openai": openai, "anthropic": anthropic}
        model = (
            OpenAIChatModel("scripted", provider=OpenAIProvider(openai_client=openai))
            if provider == "openai"
            else AnthropicModel("scripted", provider=AnthropicProvider(anthropic_client=anthropic))
        )
        capabilities = {
            "capability": [MemoriMemory(memori, ADA)],
            "processor": [ProcessHistory(memori_history_processor(memori, ADA))],
            "registered": [],
        }[how]
        agent = Agent(model, capabilities=capabilities)
        if how == "registered":
            memori.llm.register(clients[provider], attribution=ADA)
            memori.llm.register(agent, attribution=ADA)

        await way(agent)

    assert str(server.last.body).count("<memori_context>") == 1
    assert "green tea" in str(server.last.body)
    stored = said(memori, "ada")
    assert stored[0] == ("user", "What tea do I drink?")
    assert stored[1:] == ([] if how == "processor" else [("assistant", "Understood.")])


async def test_a_fallback_is_registered_as_one_model(memori: Memori, server: LoopbackServer, script: Script) -> None:
    async with async_openai(server) as openai:
        first = OpenAIChatModel("scripted", provider=OpenAIProvider(openai_client=openai))
        memori.llm.register(openai, attribution=ADA)
        agent = Agent(FallbackModel(first, script.model))
        memori.llm.register(agent, attribution=ADA)

        await run(agent)

    assert said(memori, "ada") == [("user", "What tea do I drink?"), ("assistant", "Understood.")]
