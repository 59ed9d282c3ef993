"""OpenAI's Responses API: what the provider keeps stays one conversation, and holds nothing of ours."""

import json

import pytest
from memori import Memori, RecallOptions
from memori.model import Attribution, ToolCall
from openai import AzureOpenAI, DefaultHttpxClient

from tests.core.llm.memories import ADA, BOB, block
from tests.loopback import Answer

TEA = block("likes tea")
WEATHER = ToolCall("call_1", "weather", '{"city": "Paris"}')


@pytest.fixture
def memori(tmp_path):
    options = RecallOptions(timeout=30)  # the next call knows of this one, however busy the machine is
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none", recall=options) as memori:
        yield memori


def test_a_conversation_that_the_provider_keeps_is_one_session(memori, client, server):
    memori.llm.register(client).attribution("ada")
    server.say("Hello Ada.", "Once more: hello Ada.")

    first = client.responses.create(model="m", input="Hello.")
    client.responses.create(model="m", input="Hello.", previous_response_id=first.id)

    said = [(one.session_id, one.message.content) for one in memori.messages()]
    assert [content for _, content in said] == ["Hello.", "Hello Ada.", "Hello.", "Once more: hello Ada."]
    assert len({session for session, _ in said}) == 1


def test_a_streamed_conversation_that_the_provider_keeps_is_one_session(memori, client, server):
    memori.llm.register(client).attribution("ada")
    server.say("Hello Ada.", "Fine.")

    with client.responses.stream(model="m", input="Hello.") as stream:
        first = stream.get_final_response()
    list(client.responses.create(model="m", input="And now?", previous_response_id=first.id, stream=True))

    assert len({one.session_id for one in memori.messages()}) == 1
    assert len(memori.messages()) == 4


def test_a_named_conversation_is_one_session(memori, client):
    memori.llm.register(client).attribution("ada")

    client.responses.create(model="m", input="Hello.", conversation="conv_1")
    client.responses.create(model="m", input="And now?", conversation={"id": "conv_1"})

    assert len({one.session_id for one in memori.messages()}) == 1


def test_anothers_response_id_opens_nothing(memori, client):
    memori.llm.register(client)
    memori.attribution("ada")
    first = client.responses.create(model="m", input="My secret is 42.")
    memori.attribution("bob")
    client.responses.create(model="m", input="And now?", previous_response_id=first.id)

    contents = [one.message.content for one in memori.messages(attribution=Attribution("ada"))]
    assert contents == ["My secret is 42.", "Understood."]
    assert len(memori.messages(attribution=Attribution("bob"))) == 2


def test_the_block_goes_into_the_instructions_which_are_not_kept(client, memory, server):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client, attribution=ADA)

    client.responses.create(model="m", input="What do I like?", instructions="Be brief.")
    client.responses.create(model="m", input="What do I like?")

    assert [call.body["input"] for call in server.calls] == ["What do I like?"] * 2
    assert [call.body["instructions"] for call in server.calls] == [f"Be brief.\n\n{TEA}", TEA]


def test_every_step_of_a_kept_turn_gets_the_same_block(client, memory, server):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client, attribution=ADA)
    server.say(Answer(tool_calls=(WEATHER,)), "Sunny.")

    first = client.responses.create(model="m", input="How is the weather?")
    memory.known["ada"] = "likes coffee now"
    result = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    client.responses.create(model="m", input=[result], previous_response_id=first.id)

    assert [call.body["instructions"] for call in server.calls] == [TEA, TEA]
    assert server.last.body["input"] == [result]
    assert memory.turns[1].messages[0].tool_call_id == "call_1"
    assert memory.turns[1].texts == [("tool", "sunny"), ("assistant", "Sunny.")]


def test_a_step_never_gets_the_block_of_another_user(client, memory, server):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client)
    memory.speaker.set(ADA)
    first = client.responses.create(model="m", input="How is the weather?")
    memory.speaker.set(BOB)
    result = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    client.responses.create(model="m", input=[result], previous_response_id=first.id)

    assert "instructions" not in server.last.body


def test_a_history_that_the_application_keeps_gets_the_block_in_its_last_question(client, memory, server):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client, attribution=ADA)
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "data:,"}]
    history = [
        {"role": "user", "content": "Hi."},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
        {"role": "user", "content": parts},
    ]

    client.responses.create(model="m", input=history, store=False)

    added = {"role": "user", "content": [*parts, {"type": "input_text", "text": TEA}]}
    assert server.last.body["input"] == [*history[:2], added]
    assert memory.turns[0].texts[2] == ("user", "What is this?\n[image]")


def test_a_resent_answer_is_the_one_that_was_stored(memori, client, server):
    memori.llm.register(client).attribution("ada")
    server.say(Answer("Let me look.", tool_calls=(WEATHER,)), "Sunny.", "You asked me.")
    history = [{"role": "user", "content": "How is the weather?"}]

    for new in ({"type": "function_call_output", "call_id": "call_1", "output": "sunny"}, None):
        answer = client.responses.create(model="m", input=history, store=False)
        history += [item.model_dump(exclude_none=True) for item in answer.output]
        history.append(new or {"role": "user", "content": "Why?"})
    client.responses.create(model="m", input=history, store=False)

    assert [(one.message.role, one.message.content) for one in memori.messages()] == [
        ("user", "How is the weather?"),
        ("assistant", "Let me look."),
        ("tool", "sunny"),
        ("assistant", "Sunny."),
        ("user", "Why?"),
        ("assistant", "You asked me."),
    ]


def test_instructions_that_were_sent_in_the_input_are_not_stored(client, memory):
    memory.registry().register(client, attribution=ADA)

    client.responses.create(
        model="m", input=[{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Hi."}]
    )

    assert memory.turns[0].texts == [("user", "Hi."), ("assistant", "Understood.")]


def test_calls_of_tools_of_every_kind_are_read(client, memory):
    memory.registry().register(client, attribution=ADA)
    items = [
        {"role": "user", "content": "Look."},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "select 1"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "1"}]},
        {"type": "local_shell_call", "id": "l", "call_id": "c2", "status": "completed", "action": {"command": ["ls"]}},
        {"type": "local_shell_call_output", "id": "l", "call_id": "c2", "output": "a.txt"},
    ]

    client.responses.create(model="m", input=items)

    (turn,) = memory.turns
    assert turn.messages[1].tool_calls == (ToolCall("c1", "sql", "select 1"),)
    assert turn.texts[2] == ("tool", "1")
    assert json.loads(turn.messages[3].tool_calls[0].arguments) == {"command": ["ls"]}
    assert turn.texts[4] == ("tool", "a.txt")


def test_a_refusal_is_what_the_assistant_said(client, memory):
    memory.registry().register(client, attribution=ADA)
    refused = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]}

    client.responses.create(
        model="m", input=[{"role": "user", "content": "Do."}, refused, {"role": "user", "content": "Do!"}]
    )

    assert memory.turns[0].texts[1] == ("assistant", "I cannot.")


@pytest.mark.parametrize("given", [["text"], [{"role": "narrator", "content": "Once."}], 7])
def test_an_input_that_cannot_be_read_goes_through_untouched(client, memory, server, given):
    memory.known["ada"] = "likes tea"
    memory.registry().register(client, attribution=ADA)

    client.responses.create(model="m", input=given)

    assert server.last.body["input"] == given
    assert memory.turns == []


def test_an_azure_client_is_registered_like_any_other(memory, server):
    http = DefaultHttpxClient(verify=False)
    memory.known["ada"] = "likes tea"
    with AzureOpenAI(
        base_url=server.url, api_key="none", api_version="2024-10-21", max_retries=0, http_client=http
    ) as client:
        memory.registry().register(client, attribution=ADA)
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi."}])
        client.responses.create(model="m", input="Hi.")

    assert [turn.texts for turn in memory.turns] == [[("user", "Hi."), ("assistant", "Understood.")]] * 2
    assert all(TEA in json.dumps(call.body, ensure_ascii=False).replace("\\n", "\n") for call in server.calls)
