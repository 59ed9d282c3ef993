"""However a model is asked: the caller gets what the SDK gives, the provider what was passed, memory what was said."""

from typing import Any

import pytest
from memori.model import ToolCall

from tests.core.llm.memories import ADA, WatchedMemory, block
from tests.core.llm.ways import QUESTION, WAYS, Way
from tests.loopback import Answer

TEA = block("likes tea")
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)


def without_block(found: Any) -> Any:
    """A request body without what memory added to it."""
    if isinstance(found, str):
        return found.removeprefix(f"{TEA}\n\n").removesuffix(f"\n\n{TEA}")
    if isinstance(found, dict):
        return {key: without_block(value) for key, value in found.items() if value != TEA}
    if isinstance(found, list):
        return [without_block(value) for value in found if not (isinstance(value, dict) and value.get("text") == TEA)]
    return found


@every_way
def test_the_caller_gets_what_the_sdk_alone_would_have_given(way: Way, memory, server):
    server.say(way.says, way.says)
    alone = way(server)

    remembered = way(server, lambda client: memory.registry().register(client, attribution=ADA))

    assert remembered == alone
    assert without_block(server.calls[1].body) == server.calls[0].body


@every_way
def test_the_answer_and_its_question_are_stored_once(way: Way, memory, server):
    server.say(way.says)
    way(server, lambda client: memory.registry().register(client, attribution=ADA))

    (turn,) = memory.turns
    assert turn.attribution == ADA
    assert turn.texts == [("user", QUESTION), ("assistant", way.says)]
    assert turn.resent == 1
    assert not turn.messages[1].partial
    assert turn.messages[1].payload["model"] == "m"


@every_way
def test_the_request_is_answered_with_what_is_known(way: Way, memory, server):
    memory.known["ada"] = "likes tea"
    server.say(way.says, way.says)
    way(server)

    way(server, lambda client: memory.registry().register(client, attribution=ADA))

    alone, remembered = (call.body for call in server.calls)
    assert str(remembered).count("<memori_context>") == 1
    assert without_block(remembered) == alone


@every_way
def test_the_tools_that_the_model_calls_are_stored(way: Way, memory, server):
    tools = (ToolCall("call_1", "look", '{"at": "the sky"}'), ToolCall("call_2", "look", "{}"))
    server.say(Answer(way.says, tool_calls=tools))

    way(server, lambda client: memory.registry().register(client, attribution=ADA))

    (turn,) = memory.turns
    assert turn.messages[-1].content == way.says
    assert turn.messages[-1].tool_calls == tools


@pytest.mark.parametrize(
    ("way", "status"), [pytest.param(way, (400, 429, 500)[n % 3], id=way.id) for n, way in enumerate(WAYS)]
)
def test_the_providers_errors_pass_and_nothing_is_stored(way: Way, memory, server, status):
    server.say(Answer("no", status=status), Answer("no", status=status))
    with pytest.raises(Exception) as alone:  # noqa: PT011 - each SDK has its own
        way(server)

    with pytest.raises(type(alone.value)) as remembered:
        way(server, lambda client: memory.registry().register(client, attribution=ADA))

    assert str(remembered.value) == str(alone.value)
    assert memory.turns == []


@every_way
def test_an_unregistered_client_is_as_it_was(way: Way, memory, server):
    memory.known["ada"] = "likes tea"
    llm = memory.registry()
    server.say(way.says)

    def register_and_leave(client: Any) -> None:
        llm.register(client, attribution=ADA)
        llm.unregister(client)

    way(server, register_and_leave)

    assert "memori_context" not in str(server.last.body)
    assert memory.turns == []


@every_way
def test_two_memories_hear_the_same(way: Way, memory, server):
    other = WatchedMemory(known={"ada": "lives in Paris"})
    memory.known["ada"] = "likes tea"
    server.say(way.says)

    def register_both(client: Any) -> None:
        memory.registry().register(client, attribution=ADA)
        other.registry().register(client, attribution=ADA)

    way(server, register_both)
    other.executor.close()

    assert [turn.texts for turn in memory.turns] == [[("user", QUESTION), ("assistant", way.says)]]
    assert [turn.texts for turn in other.turns] == [[("user", QUESTION), ("assistant", way.says)]]
    assert "likes tea" in str(server.last.body)
    assert "lives in Paris" in str(server.last.body)


@every_way
def test_a_memory_that_fails_is_not_felt(way: Way, memory, server):
    def fail() -> None:
        raise ValueError("memory is down")

    server.say(way.says, way.says)
    alone = way(server)
    memory.on_context = memory.on_record = fail

    assert way(server, lambda client: memory.registry().register(client, attribution=ADA)) == alone


def test_a_view_made_before_the_client_was_registered_is_heard_too(client, memory):
    for view in (client.chat.completions.with_raw_response, client.with_raw_response.chat.completions):
        assert view.create
    llm = memory.registry()
    llm.register(client, attribution=ADA)

    client.chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": QUESTION}])
    client.with_raw_response.chat.completions.create(model="m", messages=[{"role": "user", "content": QUESTION}])

    assert len(memory.turns) == 2
