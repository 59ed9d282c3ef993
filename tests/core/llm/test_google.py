"""Google's contents: every form the SDK takes is read, and stays what it was."""

import asyncio
import copy
import gc
import threading

import pytest
from google.genai.types import Content, FunctionCall, FunctionResponse, GenerateContentConfig, Part
from memori import Memori
from memori.model import ToolCall

from tests.core.llm.memories import ADA, block
from tests.loopback import Answer, async_google, google

TEA = block("likes tea")
LONG = "one two three four five"
PIXEL = Part.from_bytes(data=b"x", mime_type="image/png")
CALL = Content(role="model", parts=[Part(function_call=FunctionCall(id="c1", name="look", args={"at": "sky"}))])
RESULT = Content(
    role="user", parts=[Part(function_response=FunctionResponse(id="c1", name="look", response={"is": 1}))]
)


@pytest.fixture
def client(server):
    with google(server) as client:
        yield client


@pytest.fixture(autouse=True)
def known(memory):
    memory.known["ada"] = "likes tea"


def user(*texts):
    return {"role": "user", "parts": [{"text": text} for text in texts]}


@pytest.mark.parametrize(
    ("contents", "sent", "said"),
    [
        ("Why?", [user(f"{TEA}\n\nWhy?")], "Why?"),
        (["Why?", "Now."], [user("Why?", "Now.", TEA)], "Why?\nNow."),
        (Part(text="Why?"), [user("Why?", TEA)], "Why?"),
        (Content(role="user", parts=[Part(text="Why?")]), [user("Why?", TEA)], "Why?"),
        ({"role": "user", "parts": [{"text": "Why?"}]}, [user("Why?", TEA)], "Why?"),
        (({"text": text} for text in ["Why?"]), [user("Why?", TEA)], "Why?"),
    ],
    ids=["text", "texts", "part", "content", "dict", "generator"],
)
def test_contents_of_every_form_are_read_and_answered(client, memory, server, contents, sent, said):
    memory.registry().register(client, attribution=ADA)

    client.models.generate_content(model="m", contents=contents)

    assert server.last.body["contents"] == sent
    assert memory.turns[0].texts == [("user", said), ("assistant", "Understood.")]


def test_pictures_leave_a_mark_and_stay_before_our_block(client, memory, server):
    memory.registry().register(client, attribution=ADA)

    client.models.generate_content(model="m", contents=["What is this?", PIXEL])

    texts = [part.get("text") for part in server.last.body["contents"][0]["parts"]]
    assert texts == ["What is this?", None, TEA]
    assert memory.turns[0].texts[0] == ("user", "What is this?\n[image]")
    assert memory.queries[0][0] == "What is this?"


def test_nothing_is_put_between_a_call_and_its_result(client, memory, server):
    memory.registry().register(client, attribution=ADA)

    client.models.generate_content(model="m", contents=["Why is it blue?"])
    memory.known["ada"] = "likes coffee now"
    client.models.generate_content(model="m", contents=["Why is it blue?", CALL, RESULT])

    first, second = (call.body["contents"] for call in server.calls)
    assert second[0] == first[0] == user("Why is it blue?", TEA)
    assert "functionCall" in second[1]["parts"][0]
    assert [list(part) for part in second[2]["parts"]] == [["functionResponse"]]
    turn = memory.turns[1]
    assert turn.texts[1:3] == [("assistant", ""), ("tool", '{"is": 1}')]
    assert turn.messages[1].tool_calls == (ToolCall("c1", "look", '{"at": "sky"}'),)
    assert turn.messages[2].tool_call_id == "c1"


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        (None, [TEA]),
        ({"systemInstruction": "Be brief."}, [f"Be brief.\n\n{TEA}"]),
        (GenerateContentConfig(system_instruction="Be brief."), [f"Be brief.\n\n{TEA}"]),
        ({"system_instruction": ["Be brief.", "Be kind."]}, ["Be brief.", "Be kind.", TEA]),
        (GenerateContentConfig(system_instruction=Content(parts=[Part(text="Be brief.")])), ["Be brief.", TEA]),
    ],
    ids=["none", "dict", "config", "list", "content"],
)
def test_the_block_can_go_to_the_end_of_the_instructions(client, memory, server, config, sent):
    memory.registry(inject="system").register(client, attribution=ADA)
    before = copy.deepcopy(config)

    client.models.generate_content(model="m", contents="Why?", config=config)

    assert [part["text"] for part in server.last.body["systemInstruction"]["parts"]] == sent
    assert server.last.body["contents"] == [user("Why?")]
    assert config == before
    assert memory.turns[0].texts[0] == ("user", "Why?")


def test_nothing_the_caller_owns_changes(client, memory):
    memory.registry().register(client, attribution=ADA)
    contents = [Content(role="user", parts=[Part(text="Why?")])]
    before = copy.deepcopy(contents)

    for _ in range(3):
        client.models.generate_content(model="m", contents=contents)

    assert contents == before


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_stored_once_and_keeps_nothing_of_ours(tmp_path, client, server, stream):
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        memori.llm.register(client).attribution("ada")
        chat = client.chats.create(model="m")
        for turn in range(3):
            server.say(f"the answer {turn}")
            if stream:
                list(chat.send_message_stream(f"the question {turn}"))
            else:
                chat.send_message(f"the question {turn}")

        stored = [one.message.content for one in memori.messages()]
    assert stored == [f"the {kind} {turn}" for turn in range(3) for kind in ("question", "answer")]
    assert "memori_context" not in str(chat.get_history())


def test_a_function_that_the_sdk_calls_itself_is_stored_with_its_result(tmp_path, client, server):
    def look(at: str) -> str:
        """Look somewhere."""
        return f"{at} is blue"

    server.say(Answer(tool_calls=(ToolCall("c1", "look", '{"at": "sky"}'),)), "It is blue.")
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        memori.llm.register(client).attribution("ada")
        client.chats.create(model="m", config={"tools": [look]}).send_message("Why?")

        stored = [(one.message.role, one.message.content) for one in memori.messages()]
    assert stored == [
        ("user", "Why?"),
        ("assistant", ""),
        ("tool", '{"result": "sky is blue"}'),
        ("assistant", "It is blue."),
    ]


@pytest.mark.parametrize("end", ["close", "abandon", "break"])
def test_a_stream_that_is_not_read_to_its_end_is_stored_as_far_as_it_was(client, memory, server, end):
    memory.registry().register(client, attribution=ADA)
    server.say(Answer(LONG, cut=2 if end == "break" else None))
    chunks = client.models.generate_content_stream(model="m", contents="Tell me.")

    heard = [next(chunks).text, next(chunks).text]
    if end == "close":
        chunks.close()
    elif end == "break":
        with pytest.raises(Exception, match="peer closed"):
            next(chunks)
    del chunks
    gc.collect()

    assert memory.recorded.acquire(timeout=10)
    (turn,) = memory.turns
    assert (turn.messages[1].content, turn.messages[1].partial) == ("".join(heard), True)


@pytest.mark.parametrize("end", ["close", "abandon", "break", "cancel"])
async def test_an_async_stream_that_is_not_read_to_its_end_is_stored_as_far_as_it_was(memory, server, end):
    hold, heard = threading.Event(), asyncio.Event()
    server.say(Answer(LONG, cut=2 if end == "break" else None, hold=None if end == "break" else hold, hold_at=2))
    async with async_google(server) as client:
        memory.registry().register(client, attribution=ADA)

        async def read():
            chunks = await client.aio.models.generate_content_stream(model="m", contents="Tell me.")
            texts = [(await anext(chunks)).text, (await anext(chunks)).text]
            assert "".join(texts) == "one two"
            heard.set()
            if end == "close":
                await chunks.aclose()
            elif end != "abandon":
                await anext(chunks)

        reading = asyncio.create_task(read())
        await heard.wait()
        if end == "cancel":
            reading.cancel()
        (outcome,) = await asyncio.gather(reading, return_exceptions=True)
        hold.set()
        gc.collect()

        assert await asyncio.to_thread(memory.recorded.acquire, timeout=10)
    assert (outcome is None) == (end in ("close", "abandon"))
    (turn,) = memory.turns
    assert (turn.messages[1].content, turn.messages[1].partial) == ("one two", True)


def test_thoughts_are_given_back_and_not_stored(client, memory, server):
    memory.registry().register(client, attribution=ADA)
    thought = Content(role="model", parts=[Part(text="Hm.", thought=True), Part(text="Because.")])

    client.models.generate_content(model="m", contents=["Why?", thought, "Really?"])

    assert server.last.body["contents"][1]["parts"] == [{"text": "Hm.", "thought": True}, {"text": "Because."}]
    assert memory.turns[0].texts[:3] == [("user", "Why?"), ("assistant", "Because."), ("user", "Really?")]


@pytest.mark.parametrize("contents", ["", {"role": "user", "parts": []}], ids=["text", "parts"])
def test_contents_that_say_nothing_get_nothing(client, memory, server, contents):
    memory.registry().register(client, attribution=ADA)

    client.models.generate_content(model="m", contents=contents)

    assert "memori_context" not in str(server.last.body)
