"""Anthropic's messages: cached, thought and called blocks stay what and where they are."""

import copy

import pytest
from memori import Memori
from memori.model import ToolCall

from tests.core.llm.memories import ADA, block
from tests.loopback import Answer, anthropic

TEA = block("likes tea")
CACHED = {"type": "text", "text": "A long book.", "cache_control": {"type": "ephemeral"}}
LOOK = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "sky"}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "blue"}]}


@pytest.fixture
def client(server):
    with anthropic(server) as client:
        yield client


@pytest.fixture(autouse=True)
def known(memory):
    memory.known["ada"] = "likes tea"


def ask(client, *messages, **more):
    return client.messages.create(model="m", max_tokens=9, messages=list(messages), **more)


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def test_cached_blocks_stay_as_they_are_before_ours(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    system = [CACHED]
    question = [CACHED, {"type": "text", "text": "Who wrote it?", "cache_control": {"type": "ephemeral"}}]

    ask(client, user([CACHED]), assistant("I see."), user(question), system=system)

    assert server.last.body["system"] == system
    assert server.last.messages == [
        user([CACHED]),
        assistant("I see."),
        user([*question, {"type": "text", "text": TEA}]),
    ]


def test_nothing_is_put_between_a_call_and_its_result(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    steps = [assistant([THOUGHT, LOOK]), user([RESULT])]

    ask(client, user("Why is it blue?"))
    memory.known["ada"] = "likes coffee now"
    ask(client, user("Why is it blue?"), *steps)

    first, second = (call.messages for call in server.calls)
    assert first == [user(f"{TEA}\n\nWhy is it blue?")]
    assert second == [*first, *steps]


def test_results_stay_first_in_a_message_that_says_more(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    more = {"type": "text", "text": "And at night?"}

    ask(client, user("Why is it blue?"), assistant([LOOK]), user([RESULT, more]))

    assert server.last.messages[-1] == user([RESULT, more, {"type": "text", "text": TEA}])
    assert memory.queries[-1][0] == "And at night?"
    assert memory.turns[0].texts == [
        ("user", "Why is it blue?"),
        ("assistant", ""),
        ("tool", "blue"),
        ("user", "And at night?"),
        ("assistant", "Understood."),
    ]
    assert memory.turns[0].messages[1].tool_calls == (ToolCall("t1", "look", '{"at": "sky"}'),)
    assert memory.turns[0].messages[2].tool_call_id == "t1"


@pytest.mark.parametrize(
    ("system", "sent"),
    [
        (None, TEA),
        ("Be brief.", f"Be brief.\n\n{TEA}"),
        ([CACHED], [CACHED, {"type": "text", "text": TEA}]),
    ],
    ids=["none", "text", "blocks"],
)
def test_the_block_can_go_to_the_end_of_the_instructions(client, memory, server, system, sent):
    memory.registry(inject="system").register(client, attribution=ADA)

    ask(client, user("Hi."), **({} if system is None else {"system": system}))

    assert server.last.body["system"] == sent
    assert server.last.messages == [user("Hi.")]


def test_thoughts_are_given_back_and_not_stored(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer("Because.", tool_calls=(ToolCall("t1", "look", "{}"),)), "Done.")
    thinking = {"type": "enabled", "budget_tokens": 1024}

    first = ask(client, user("Why?"), thinking=thinking)
    ask(client, user("Why?"), assistant(first.content), user([RESULT]), thinking=thinking)

    assert [part["type"] for part in server.last.messages[1]["content"]] == ["thinking", "text", "tool_use"]
    assert server.last.messages[1]["content"][0]["signature"] == "c2lnbmVk"
    assert memory.turns[0].texts == [("user", "Why?"), ("assistant", "Because.")]
    assert memory.turns[1].messages[1].identity == memory.turns[0].messages[1].identity


def test_nothing_the_caller_owns_changes(client, memory):
    memory.registry().register(client, attribution=ADA)
    messages = [user([CACHED, {"type": "text", "text": "Why?"}])]
    before = copy.deepcopy(messages)

    for _ in range(3):
        ask(client, *messages)

    assert messages == before


def test_a_resent_history_is_stored_once(tmp_path, client, server):
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        memori.llm.register(client).attribution("ada")
        history = []
        for turn in range(3):
            server.say(f"answer {turn}")
            history.append(user(f"question {turn}"))
            with client.messages.stream(model="m", max_tokens=9, messages=history) as stream:
                history.append(assistant(stream.get_final_message().content))

        stored = [one.message.content for one in memori.messages()]
    assert stored == [f"{kind} {turn}" for turn in range(3) for kind in ("question", "answer")]


def test_a_thread_that_the_provider_keeps_is_one_session_and_holds_nothing_of_ours(tmp_path, client, server):
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        memori.llm.register(client).attribution("ada")
        memori.remember("Ada's favourite colour is teal.")
        more = {"model": "m", "max_tokens": 9, "messages": [user("My favourite colour?")]}
        first = client.beta.messages.create(**more, thread={"type": "create"})
        client.beta.messages.create(**more, thread={"type": "continue", "previous_message_id": first.id})

        assert [call.messages for call in server.calls] == [[user("My favourite colour?")]] * 2
        assert ["teal" in call.body["system"] for call in server.calls] == [True, True]
        assert len(memori.messages()) == 4
        assert len({one.session_id for one in memori.messages()}) == 1


def test_usage_and_model_are_kept_with_the_answer(client, memory):
    memory.registry().register(client, attribution=ADA)

    ask(client, user("Hi."))
    with client.messages.stream(model="m", max_tokens=9, messages=[user("Hi.")]) as stream:
        stream.until_done()

    for turn in memory.turns:
        assert turn.messages[1].payload["model"] == "m"
        assert turn.messages[1].payload["usage"] == {"input_tokens": 3, "output_tokens": 5}


@pytest.mark.parametrize("messages", ["text", [{"role": "user"}], [{"role": "narrator", "content": "x"}], ["x"]])
def test_a_request_that_cannot_be_read_goes_through_untouched(client, memory, server, messages):
    memory.registry().register(client, attribution=ADA)

    client.messages.create(model="m", max_tokens=9, messages=messages)

    assert server.last.body["messages"] == messages
    assert memory.turns == []


def test_wrong_arguments_are_told_where_they_are_passed(client, memory):
    memory.registry().register(client, attribution=ADA)

    with pytest.raises(TypeError, match="no_such"):
        client.messages.stream(model="m", max_tokens=9, messages=[user("Hi.")], no_such=1)
