"""Bedrock through boto3: content blocks, event streams and bodies stay what they were."""

import copy
import gc
import json

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError
from memori import Memori
from memori.errors import UnknownClientError
from memori.model import ToolCall

from tests.core.llm.memories import ADA, block
from tests.loopback import Answer, bedrock

TEA = block("likes tea")
LONG = "one two three four five"
CACHE = {"cachePoint": {"type": "default"}}
LOOK = {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": "sky"}}}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
RESULT = {"toolResult": {"toolUseId": "t1", "content": [{"json": {"is": "blue"}}]}}


@pytest.fixture
def client(server):
    with bedrock(server) as client:
        yield client


@pytest.fixture(autouse=True)
def known(memory):
    memory.known["ada"] = "likes tea"


def user(*parts):
    return {"role": "user", "content": [{"text": part} if isinstance(part, str) else part for part in parts]}


def assistant(*parts):
    return {**user(*parts), "role": "assistant"}


def ask(client, *messages, **more):
    return client.converse(modelId="m", messages=list(messages), **more)


def invoke(body, kind=str):
    text = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, **body})
    return {"modelId": "m", "body": text if kind is str else kind(text.encode())}


def test_nothing_is_put_between_a_call_and_its_result(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    steps = [assistant(THOUGHT, LOOK), user(RESULT)]

    ask(client, user("A long book.", CACHE, "Why is it blue?"))
    memory.known["ada"] = "likes coffee now"
    ask(client, user("A long book.", CACHE, "Why is it blue?"), *steps)

    first, second = (call.messages for call in server.calls)
    assert first == [user("A long book.", CACHE, "Why is it blue?", TEA)]
    assert second == [*first, *steps]
    turn = memory.turns[1]
    assert turn.texts[:3] == [("user", "A long book.\nWhy is it blue?"), ("assistant", ""), ("tool", '{"is": "blue"}')]
    assert turn.messages[1].tool_calls == (ToolCall("t1", "look", '{"at": "sky"}'),)
    assert turn.messages[2].tool_call_id == "t1"


@pytest.mark.parametrize("system", [[], [{"text": "Be brief."}, CACHE]], ids=["none", "blocks"])
def test_the_block_can_go_to_the_end_of_the_instructions(client, memory, server, system):
    memory.registry(inject="system").register(client, attribution=ADA)

    ask(client, user("Hi."), **({"system": system} if system else {}))

    assert server.last.body["system"] == [*system, {"text": TEA}]
    assert server.last.messages == [user("Hi.")]


def test_pictures_leave_a_mark_and_nothing_the_caller_owns_changes(client, memory):
    memory.registry().register(client, attribution=ADA)
    messages = [user({"image": {"format": "png", "source": {"bytes": b"x"}}}, "What is this?")]
    before = copy.deepcopy(messages)

    ask(client, *messages)

    assert messages == before
    assert memory.turns[0].texts[0] == ("user", "[image]\nWhat is this?")
    assert memory.queries[0][0] == "What is this?"


def test_usage_and_model_are_kept_with_the_answer(client, memory):
    memory.registry().register(client, attribution=ADA)

    ask(client, user("Hi."))
    list(client.converse_stream(modelId="m", messages=[user("Hi.")])["stream"])

    for turn in memory.turns:
        assert turn.messages[1].payload == {
            "model": "m",
            "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
        }


@pytest.mark.parametrize("kind", [str, bytes, bytearray])
def test_a_body_is_answered_in_its_own_kind(client, memory, server, kind):
    memory.registry().register(client, attribution=ADA)
    request = invoke({"messages": [{"role": "user", "content": "Hi."}]}, kind)
    before = copy.deepcopy(request)

    with client.invoke_model(**request)["body"] as body:
        assert json.loads(body.read())["content"][0]["text"] == "Understood."

    assert request == before
    assert server.last.messages == [{"role": "user", "content": f"{TEA}\n\nHi."}]
    assert memory.turns[0].texts == [("user", "Hi."), ("assistant", "Understood.")]


@pytest.mark.parametrize("body", ['{"inputText": "Hi."}', '{"messages": []}'])
def test_bodies_for_other_models_go_through_untouched(client, memory, server, body):
    memory.registry().register(client, attribution=ADA)

    client.invoke_model(modelId="m", body=body)["body"].read()

    assert server.last.body == json.loads(body)
    assert memory.turns == []


@pytest.mark.parametrize("end", ["close", "abandon", "break"])
@pytest.mark.parametrize("way", ["converse", "invoke"])
def test_a_stream_that_is_not_read_to_its_end_is_stored_as_far_as_it_was(client, memory, server, way, end):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer(LONG, cut=5 if end == "break" else None))
    if way == "converse":
        response = client.converse_stream(modelId="m", messages=[user("Tell me.")])
        stream = response.pop("stream")
    else:
        request = invoke({"messages": [{"role": "user", "content": "Tell me."}]})
        stream = client.invoke_model_with_response_stream(**request).pop("body")
    events, connection = iter(stream), stream._raw_stream

    for _ in range(4):
        next(events)
    if end == "close":
        stream.close()
    elif end == "break":
        with pytest.raises(Exception, match="ended prematurely"):
            list(events)
    del events, stream
    gc.collect()

    assert memory.recorded.acquire(timeout=10)
    (turn,) = memory.turns
    answer = turn.messages[1]
    connection.close()
    assert answer.partial
    assert LONG.startswith(answer.content)
    assert 0 < len(answer.content) < len(LONG)


def test_a_stream_may_be_read_in_several_goes(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    server.say(LONG)
    stream = client.converse_stream(modelId="m", messages=[user("Tell me.")])["stream"]

    for event in stream:
        if "contentBlockDelta" in event:
            break
    gc.collect()
    list(stream)

    (turn,) = memory.turns
    assert (turn.messages[1].content, turn.messages[1].partial) == (LONG, False)


def test_a_body_that_nobody_reads_stores_the_question(client, memory):
    memory.registry().register(client, attribution=ADA)

    client.invoke_model(**invoke({"messages": [{"role": "user", "content": "Hi."}]}))
    gc.collect()

    assert memory.recorded.acquire(timeout=10)
    assert memory.turns[0].texts == [("user", "Hi.")]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"messages": "text"}, ParamValidationError),
        ({"messages": [{"role": "user"}]}, ParamValidationError),
        ({"messages": [{"role": "narrator", "content": [{"text": "x"}]}], "no_such": 1}, ParamValidationError),
        ({"messages": (user(text) for text in ["Hi."])}, ParamValidationError),
        ({}, None),
    ],
    ids=["text", "no content", "unknown", "generator", "none"],
)
def test_what_the_sdk_refuses_is_refused_in_its_words(client, memory, server, arguments, error):
    def outcome():
        try:
            return client.converse(modelId="m", **arguments)["output"]
        except (ParamValidationError, ClientError) as raised:
            return type(raised), str(raised).partition(" at 0x")[0]

    alone = outcome()
    memory.registry().register(client, attribution=ADA)

    assert outcome() == alone
    assert error is None or alone[0] is error
    assert memory.turns == []


def test_only_clients_for_models_are_known(memory):
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")

    with pytest.raises(UnknownClientError, match=r"bedrock for botocore.client.*memori-core\[bedrock\]"):
        memory.registry().register(s3)
    s3.close()


def test_two_clients_of_one_session_are_apart(memory, server):
    with bedrock(server) as heard, bedrock(server) as other:
        memory.registry().register(heard, attribution=ADA)
        ask(other, user("Hi."))

    assert server.last.messages == [user("Hi.")]
    assert memory.turns == []


def test_a_resent_history_is_stored_once(tmp_path, client, server):
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        memori.llm.register(client).attribution("ada")
        history = []
        for turn in range(3):
            server.say(f"answer {turn}")
            history.append(user(f"question {turn}"))
            history.append(ask(client, *history)["output"]["message"])

        stored = [one.message.content for one in memori.messages()]
    assert stored == [f"{kind} {turn}" for turn in range(3) for kind in ("question", "answer")]
