"""`memori.llm.register(model)`: any chat model, however it is asked, is told what is known and heard once."""

import asyncio
import copy
import pickle
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from memori import Attribution, Memori, suppress
from memori_langchain import MemoriMiddleware
from pydantic import BaseModel, Field

from tests.core.llm.memories import ADA, BOB, WatchedMemory, block
from tests.langchain.models import Scripted, calls, last_human, says
from tests.loopback import LoopbackServer
from tests.loopback import openai as openai_client

QUESTION = "What do I like?"
TEA = block("likes tea")


class Written(FakeListChatModel):
    """Writes every method itself, streamed ones too, as a provider's package does."""

    seen: list[list[BaseMessage]] = Field(default_factory=list)

    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        self.seen.append(messages)
        return super()._generate(messages, *args, **options)

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        await asyncio.sleep(0)
        return self._generate(messages, None, None)

    def _stream(self, messages: list[BaseMessage], *args: Any, **options: Any) -> Iterator[Any]:
        self.seen.append(messages)
        yield from super()._stream(messages, *args, **options)

    async def _astream(self, messages: list[BaseMessage], *args: Any, **options: Any) -> Any:
        for piece in self._stream(messages):
            yield piece


class Liked(BaseModel):
    """What is liked."""

    drink: str


async def _events(model: Any) -> str:
    found = ""
    async for event in model.astream_events(QUESTION, version="v2"):
        if event["event"] == "on_chat_model_stream":
            found += event["data"]["chunk"].text
    return found


async def _streamed(model: Any) -> str:
    return "".join([piece.text async for piece in model.astream(QUESTION)])


async def _called(function: Callable[[Any], Any], model: Any) -> Any:
    return function(model)


def sync(function: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    return lambda model: _called(function, model)


async def _awaited(model: Any) -> str:
    return str((await model.ainvoke(QUESTION)).text)


async def _abatched(model: Any) -> str:
    [answer] = await model.abatch([QUESTION])
    return str(answer.text)


WAYS: dict[str, Callable[[Any], Awaitable[str]]] = {
    "invoke": sync(lambda model: model.invoke(QUESTION).text),
    "stream": sync(lambda model: "".join(piece.text for piece in model.stream(QUESTION))),
    "batch": sync(lambda model: model.batch([QUESTION])[0].text),
    "generate": sync(lambda model: model.generate([[HumanMessage(QUESTION)]]).generations[0][0].text),
    "chain": sync(lambda model: (ChatPromptTemplate([("user", "{q}")]) | model).invoke({"q": QUESTION}).text),
    "bound": sync(lambda model: model.bind(stop=["x"]).invoke(QUESTION).text),
    "agent": sync(lambda model: create_agent(model).invoke({"messages": [("user", QUESTION)]})["messages"][-1].text),
    "ainvoke": _awaited,
    "astream": _streamed,
    "abatch": _abatched,
    "events": _events,
}


@pytest.fixture
def memory() -> Iterator[WatchedMemory]:
    memory = WatchedMemory(known={"ada": "likes tea"})
    yield memory
    memory.executor.close()


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
async def test_two_memories_of_one_model_both_hear_it(memory: WatchedMemory, way: str) -> None:
    other = WatchedMemory(known={"ada": "likes tea"})
    model = Written(responses=["You like tea."] * 2)
    memory.registry().register(model, attribution=ADA)
    other.registry().register(model, attribution=ADA)

    await WAYS[way](model)
    other.executor.close()

    for one in (memory, other):
        [turn] = one.turns
        assert [(message.role, message.content) for message in turn.messages] == [
            ("user", QUESTION),
            ("assistant", "You like tea."),
        ]


@pytest.fixture(params=[Written, Scripted])
def model(request: pytest.FixtureRequest) -> Any:
    if request.param is Scripted:
        return Scripted(reply=lambda _: "Tea it is")
    return Written(responses=["Tea it is"] * 20)


def asked(model: Any) -> list[list[BaseMessage]]:
    return model.seen if isinstance(model, Written) else model.requests  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", WAYS)
async def test_however_it_is_asked_it_is_told_and_heard_once(way: str, memory: WatchedMemory, model: Any) -> None:
    memory.registry().register(model, attribution=ADA)

    answer = await WAYS[way](model)

    assert answer.strip() == "Tea it is"
    assert asked(model)[0][-1].text == f"{TEA}\n\n{QUESTION}"
    assert await asyncio.to_thread(memory.recorded.acquire, timeout=30)
    [turn] = memory.turns
    assert turn.attribution == ADA
    assert [(role, text.strip()) for role, text in turn.texts] == [("user", QUESTION), ("assistant", "Tea it is")]
    assert not turn.messages[1].partial


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.mark.parametrize("way", WAYS)
async def test_openais_model_sends_the_block_and_gives_its_usage(
    way: str, memory: WatchedMemory, server: LoopbackServer
) -> None:
    server.say("You like tea.")
    model = ChatOpenAI(model="m", base_url=server.url, api_key="unused", max_retries=0)  # type: ignore[arg-type]
    memory.registry().register(model, attribution=ADA)

    assert await WAYS[way](model) == "You like tea."

    [call] = server.calls
    assert call.body["messages"] == [{"role": "user", "content": f"{TEA}\n\n{QUESTION}"}]
    [turn] = memory.turns
    assert turn.texts == [("user", QUESTION), ("assistant", "You like tea.")]
    assert turn.messages[1].payload is not None
    assert turn.messages[1].payload["model"] == "m"


def test_nothing_the_caller_passed_in_is_changed(memory: WatchedMemory, model: Any) -> None:
    memory.registry().register(model, attribution=ADA)
    given = [SystemMessage("Be brief."), HumanMessage([{"type": "text", "text": QUESTION}])]
    before = copy.deepcopy(given)

    model.invoke(given)

    assert given == before
    assert asked(model)[0][1].content == [*before[1].content, {"type": "text", "text": TEA}]


def test_the_block_can_go_into_the_system_message(memory: WatchedMemory, model: Any) -> None:
    memory.registry(inject="system").register(model, attribution=ADA)

    model.invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)])
    model.invoke(QUESTION)

    first, second = asked(model)
    assert [one.text for one in first] == [f"Be brief.\n\n{TEA}", QUESTION]
    assert [one.text for one in second] == [TEA, QUESTION]


async def test_a_stream_that_is_given_up_is_stored_as_partial(memory: WatchedMemory, model: Any) -> None:
    memory.registry().register(model, attribution=ADA)

    stream = model.stream(QUESTION)
    first = next(stream).text
    stream.close()
    pieces = model.astream(QUESTION)
    await anext(pieces)
    await pieces.aclose()
    del stream, pieces

    for _ in range(2):
        assert await asyncio.to_thread(memory.recorded.acquire, timeout=30)
    for turn in memory.turns:
        assert turn.texts == [("user", QUESTION), ("assistant", first)]
        assert turn.messages[1].partial


async def test_a_model_that_fails_raises_its_own_error_and_nothing_is_stored(memory: WatchedMemory) -> None:
    def fail(_: list[BaseMessage]) -> str:
        raise RuntimeError("the model is down")

    model = Scripted(reply=fail)
    memory.registry().register(model, attribution=ADA)

    for way in ("invoke", "stream", "ainvoke", "astream"):
        with pytest.raises(RuntimeError, match="the model is down"):
            await WAYS[way](model)
    assert memory.turns == []


async def test_memory_that_fails_is_not_felt(memory: WatchedMemory, model: Any) -> None:
    def fail() -> None:
        raise OSError("the disk is gone")

    memory.on_context = memory.on_record = fail
    memory.registry().register(model, attribution=ADA)

    for way in WAYS.values():
        assert (await way(model)).strip() == "Tea it is"


def test_a_registered_model_is_still_the_model_it_was(memory: WatchedMemory) -> None:
    model = Written(responses=["Tea it is"])
    plain = Written(responses=["Tea it is"])
    registry = memory.registry()

    assert registry.register(model, attribution=ADA) is memory
    assert isinstance(model, Written)
    assert dumpd(model)["id"] == dumpd(plain)["id"]
    assert repr(model) == repr(plain)
    assert model.model_dump() == plain.model_dump()
    unpickled = pickle.loads(pickle.dumps(model))
    assert type(unpickled) is Written
    assert unpickled == plain
    plain.invoke("hi")
    assert memory.turns == [], "another model of its class is not heard"


def test_a_copy_goes_on_with_its_own_settings_and_the_same_memory(memory: WatchedMemory) -> None:
    model = Written(responses=["first"])
    memory.registry().register(model, attribution=ADA)

    for other in (model.model_copy(update={"responses": ["second"]}), copy.deepcopy(model)):
        expected = other.responses[0]
        assert other.invoke(QUESTION).text == expected
        assert memory.turns[-1].texts[-1] == ("assistant", expected)


def test_registering_a_copy_for_another_person_leaves_the_first(memory: WatchedMemory) -> None:
    registry, model = memory.registry(), Written(responses=["x"])
    registry.register(model, attribution=ADA)
    other = model.model_copy()
    registry.register(other, attribution=BOB)

    other.invoke("I am Bob.")
    model.invoke("I am Ada.")

    assert [turn.attribution for turn in memory.turns] == [BOB, ADA]


def test_registering_twice_hears_once_and_unregistering_ends_it(memory: WatchedMemory, model: Any) -> None:
    registry = memory.registry()
    registry.register(model, attribution=ADA)
    registry.register(model)
    model.invoke(QUESTION)
    assert len(memory.turns) == 1

    registry.unregister(model)

    model.invoke(QUESTION)
    assert len(memory.turns) == 1
    assert asked(model)[-1][-1].text == QUESTION


def test_a_call_that_is_suppressed_or_unattributed_goes_through_untouched(memory: WatchedMemory, model: Any) -> None:
    memory.registry().register(model)

    model.invoke(QUESTION)
    with suppress():
        model.invoke(QUESTION)

    assert [request[-1].text for request in asked(model)] == [QUESTION, QUESTION]
    assert memory.turns == []


def test_structured_output_comes_through(memory: WatchedMemory, server: LoopbackServer) -> None:
    server.say('{"drink": "tea"}')
    model = ChatOpenAI(model="m", base_url=server.url, api_key="unused", max_retries=0)  # type: ignore[arg-type]
    memory.registry().register(model, attribution=ADA)

    assert model.with_structured_output(Liked).invoke(QUESTION) == Liked(drink="tea")

    assert TEA in server.calls[0].body["messages"][0]["content"]
    assert memory.turns[0].texts == [("user", QUESTION), ("assistant", '{"drink": "tea"}')]


@tool
def look_up(place: str) -> str:
    """Look a place up."""
    return f"{place} is on the coast."


def test_an_agents_turn_is_stored_once_and_every_step_sees_the_same(memori: Memori) -> None:
    model = says(calls("look_up", place="Porto"), "On the coast.", "Yes.")
    memori.llm.register(model)
    chat = create_agent(model, [look_up], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}

    with memori.scope("ada"):
        memori.remember("I moved to Porto last spring.")
        chat.invoke({"messages": [("user", "What of Porto?")]}, config)
        chat.invoke({"messages": [("user", "Really?")]}, config)
        stored = [one.message for one in memori.messages()]

    assert [(one.role, one.content) for one in stored] == [
        ("user", "What of Porto?"),
        ("assistant", ""),
        ("tool", "Porto is on the coast."),
        ("assistant", "On the coast."),
        ("user", "Really?"),
        ("assistant", "Yes."),
    ]
    assert stored[1].tool_calls[0].arguments == '{"place": "Porto"}'
    assert stored[2].tool_call_id == stored[1].tool_calls[0].id
    assert model.requests[1][0].text == model.requests[0][0].text
    assert "I moved to Porto" in model.requests[0][0].text


async def test_what_langchains_middleware_asks_is_neither_told_nor_heard(memori: Memori) -> None:
    model = Scripted(reply=lambda messages: "SUMMARY" if "xtract" in messages[-1].text else "re")
    memori.llm.register(model, attribution=ADA)
    summaries = SummarizationMiddleware(model, trigger=("messages", 3), keep=("messages", 1))
    chat = create_agent(model, middleware=[summaries], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}

    for number in range(3):
        _ = [piece async for piece in chat.astream({"messages": [("user", f"turn {number}")]}, config)]
    for number in range(3, 5):
        given: Any = {"messages": [("user", f"turn {number}")]}
        _ = [piece async for piece in chat.astream(given, config, stream_mode="messages")]

    said = [one.message.content.strip() for one in memori.messages(attribution=ADA)]
    assert any("SUMMARY" in request[0].text for request in model.requests)
    assert [text for text in said if text.startswith("turn")] == [f"turn {number}" for number in range(5)]
    assert not [text for text in said if "SUMMARY" in text or "xtract" in text]


def test_under_the_middleware_a_registered_model_stays_silent(memori: Memori) -> None:
    memori.remember("I moved to Porto last spring.", attribution=ADA)
    model = says("Porto.")
    memori.llm.register(model, attribution=ADA)

    create_agent(model, middleware=[MemoriMiddleware(memori)]).invoke(
        {"messages": [("user", "Where did I move?")]}, context={"user_id": "ada"}
    )

    assert model.last_request.count("<memori_context>") == 1
    assert len(memori.messages(attribution=ADA)) == 2


def test_a_registered_client_inside_a_registered_model_stays_silent(
    memory: WatchedMemory, server: LoopbackServer
) -> None:
    server.say("You like tea.")
    with openai_client(server) as client:
        registry = memory.registry()
        registry.register(client, attribution=ADA)

        class Around(BaseChatModel):
            @property
            def _llm_type(self) -> str:
                return "around"

            def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
                asked = [{"role": "user", "content": last_human(messages)}]
                text = client.chat.completions.create(model="m", messages=asked).choices[0].message.content  # type: ignore[call-overload]
                return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

        model = Around()
        registry.register(model, attribution=ADA)
        assert model.invoke(QUESTION).text == "You like tea."

    assert len(memory.turns) == 1
    assert str(server.calls[0].body).count("<memori_context>") == 1


def test_people_at_once_are_each_told_their_own(memori: Memori) -> None:
    model = Scripted(reply=lambda messages: f"re: {last_human(messages)}")
    memori.llm.register(model)
    people = [f"user-{number}" for number in range(20)]
    for person in people:
        memori.remember(f"My secret word is word{person}.", attribution=Attribution(person))

    async def ask(person: str) -> str:
        with memori.scope(person):
            return str((await model.ainvoke("What is my secret word?")).text)

    async def everyone() -> list[str]:
        return await asyncio.gather(*(ask(person) for person in people))

    for person, answer in zip(people, asyncio.run(everyone()), strict=True):
        assert f"word{person}." in answer
        assert answer.count("My secret word is") == 1
