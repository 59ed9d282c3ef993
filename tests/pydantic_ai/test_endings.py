"""However a run ends, what was said in it is stored, or left out because that was asked for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import anyio
import pytest
from memori import Attribution, Memori
from memori_pydantic_ai import MemoriMemory
from memori_pydantic_ai.capability import Capture
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
from pydantic_ai.messages import ModelMessage, ModelResponse, PartDeltaEvent
from pydantic_ai.models.function import AgentInfo, FunctionModel

from tests.pydantic_ai.agents import Script, Visitor, said, visitor

ADA = Visitor("ada")
Chat = Agent[Visitor, str]


class ModelDown(RuntimeError):
    """The provider has a bad day."""


async def failing(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    raise ModelDown


async def endless(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


async def words(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    for word in ("Tea ", "is ", "ready."):
        yield word


def agent(memori: Memori, model: FunctionModel, capture: Capture) -> Chat:
    return Agent(model, deps_type=Visitor, capabilities=[MemoriMemory(memori, visitor, capture=capture)])


async def run(chat: Chat) -> None:
    await chat.run("Is tea ready?", deps=ADA)


async def stream_to_the_end(chat: Chat) -> None:
    async with chat.run_stream("Is tea ready?", deps=ADA) as stream:
        _ = [text async for text in stream.stream_text(debounce_by=None)]


async def iterate_to_the_end(chat: Chat) -> None:
    async with chat.iter("Is tea ready?", deps=ADA) as steps:
        async for _ in steps:
            pass


async def read_all_events(chat: Chat) -> None:
    async with chat.run_stream_events("Is tea ready?", deps=ADA) as events:
        async for _ in events:
            pass


async def run_in_a_script(chat: Chat) -> None:
    def script() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            chat.run_sync("Is tea ready?", deps=ADA)
        finally:
            loop.close()

    await asyncio.to_thread(script)


async def leave_the_events(chat: Chat) -> None:
    async with chat.run_stream_events("Is tea ready?", deps=ADA) as events:
        async for event in events:
            if isinstance(event, PartDeltaEvent):
                break


async def leave_the_stream(chat: Chat) -> None:
    async with chat.run_stream("Is tea ready?", deps=ADA) as stream:
        async for _ in stream.stream_text(delta=True, debounce_by=None):
            break


async def raise_in_the_stream(chat: Chat) -> None:
    with suppress(LookupError):
        async with chat.run_stream("Is tea ready?", deps=ADA) as stream:
            async for _ in stream.stream_text(delta=True, debounce_by=None):
                raise LookupError


async def leave_the_iteration(chat: Chat) -> None:
    async with chat.iter("Is tea ready?", deps=ADA) as steps:
        async for step in steps:
            if Agent.is_call_tools_node(step):
                break


async def meet_a_model_error(chat: Chat) -> None:
    with pytest.raises(ModelDown):
        await chat.run("Is tea ready?", deps=ADA)


async def cancel_the_task(chat: Chat) -> None:
    task = asyncio.create_task(chat.run("Is tea ready?", deps=ADA))
    for _ in range(50):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def run_out_of_time(chat: Chat) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(chat.run("Is tea ready?", deps=ADA), 0.5)


async def leave_the_scope(chat: Chat) -> None:
    with anyio.move_on_after(0.5) as scope:
        await chat.run("Is tea ready?", deps=ADA)
    assert scope.cancelled_caught


QUESTION = ("user", "Is tea ready?")
Ending = Callable[[Chat], Awaitable[None]]


@pytest.mark.parametrize("ending", [run, run_in_a_script, stream_to_the_end, read_all_events, iterate_to_the_end])
@pytest.mark.parametrize("capture", ["completed", "all"])
async def test_a_run_that_ends_with_a_result_is_stored(memori: Memori, ending: Ending, capture: Capture) -> None:
    model = FunctionModel(Script("Tea is ready.").reply, stream_function=words)

    await ending(agent(memori, model, capture))

    assert said(memori, "ada") == [QUESTION, ("assistant", "Tea is ready.")]


@pytest.mark.parametrize("ending", [leave_the_stream, leave_the_events, raise_in_the_stream])
async def test_a_stream_left_early_is_stored_as_far_as_it_came(memori: Memori, ending: Ending) -> None:
    await ending(agent(memori, FunctionModel(stream_function=words), "all"))

    question, answer = memori.messages(attribution=Attribution("ada"))
    assert (question.message.role, question.message.content) == QUESTION
    assert "Tea is ready.".startswith(answer.message.content.strip())
    assert answer.message.partial
    assert not question.message.partial


async def test_an_iteration_left_early_is_stored_as_far_as_it_came(memori: Memori) -> None:
    await leave_the_iteration(agent(memori, Script("Tea is ready.").model, "all"))

    assert said(memori, "ada") == [QUESTION, ("assistant", "Tea is ready.")]


@pytest.mark.parametrize(
    ("ending", "model"),
    [
        (meet_a_model_error, failing),
        (cancel_the_task, endless),
        (run_out_of_time, endless),
        (leave_the_scope, endless),
    ],
)
async def test_a_run_without_an_answer_leaves_its_question(
    memori: Memori, ending: Ending, model: Callable[[list[ModelMessage], AgentInfo], Awaitable[ModelResponse]]
) -> None:
    await ending(agent(memori, FunctionModel(model), "all"))
    # On Pydantic AI 2.62 a cancelled run may be over a moment before its last write.
    async with asyncio.timeout(30):
        while not said(memori, "ada"):
            await asyncio.sleep(0.01)

    assert said(memori, "ada") == [QUESTION]


@pytest.mark.parametrize(
    ("ending", "model"),
    [
        (leave_the_stream, FunctionModel(stream_function=words)),
        (leave_the_events, FunctionModel(stream_function=words)),
        (leave_the_iteration, Script().model),
        (meet_a_model_error, FunctionModel(failing)),
        (run_out_of_time, FunctionModel(endless)),
    ],
)
async def test_a_run_without_a_result_is_not_stored_unless_asked_for(
    memori: Memori, ending: Ending, model: FunctionModel
) -> None:
    await ending(agent(memori, model, "completed"))

    assert said(memori, "ada") == []


async def test_a_run_that_waits_for_an_approval_is_stored_once_with_its_end(memori: Memori, script: Script) -> None:
    chat = Agent(
        script.model,
        deps_type=Visitor,
        output_type=[str, DeferredToolRequests],
        capabilities=[MemoriMemory(memori, visitor)],
    )

    @chat.tool_plain(requires_approval=True)
    def brew() -> str:
        return "brewing"

    paused = await chat.run("Please make tea.", deps=ADA)
    assert isinstance(paused.output, DeferredToolRequests)
    (call,) = paused.output.approvals
    approvals = DeferredToolResults(approvals={call.tool_call_id: True})
    await chat.run(message_history=paused.all_messages(), deferred_tool_results=approvals, deps=ADA)

    stored = [one.message for one in memori.messages(attribution=Attribution("ada"))]
    assert [message.role for message in stored] == ["user", "assistant", "tool", "assistant"]
    assert stored[1].tool_calls[0].id == stored[2].tool_call_id
    assert stored[2].content == "brewing"


async def test_a_tool_that_fails_leaves_what_was_said_before(memori: Memori, script: Script) -> None:
    chat = agent(memori, script.model, "all")

    @chat.tool_plain
    def brew() -> str:
        raise ModelDown

    with pytest.raises(ModelDown):
        await chat.run("Is tea ready?", deps=ADA)

    question, call = memori.messages(attribution=Attribution("ada"))
    assert question.message.content == "Is tea ready?"
    assert [one.name for one in call.message.tool_calls] == ["brew"]
