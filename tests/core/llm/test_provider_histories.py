"""For every way of spelling a conversation: the provider gets what was passed plus our block, memory what was said."""

import itertools
import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memori.model import Attribution, ToolCall
from memori.storage.records import StorageOptions
from memori.storage.sql.storage import SQLStorage

from tests.core.llm.memories import block
from tests.core.llm.test_histories import Exchange, StoredMemory, texts, users
from tests.loopback import Answer, LoopbackServer, anthropic, bedrock, google

KNOWN = block("likes tea")
numbers = itertools.count()
exchanges = st.builds(
    Exchange,
    human=st.lists(texts, min_size=1, max_size=3).map(tuple),
    parts=st.booleans(),
    tools=st.lists(texts, max_size=2).map(tuple),
    answer=texts,
    stream=st.booleans(),
    window=st.none() | st.integers(0, 2),
)


class Messages:
    """Anthropic's messages."""

    make = staticmethod(anthropic)

    def human(self, said: tuple[str, ...], *, parts: bool) -> dict[str, Any]:
        content: Any = [{"type": "text", "text": text} for text in said] if parts else "\n".join(said)
        return {"role": "user", "content": content}

    def called(self, call: ToolCall) -> dict[str, Any]:
        used = {"type": "tool_use", "id": call.id, "name": call.name, "input": {"at": "sky"}}
        return {"role": "assistant", "content": [used]}

    def result(self, call: ToolCall, text: str) -> dict[str, Any]:
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": text}]}

    def answered(self, text: str) -> dict[str, Any]:
        return {"role": "assistant", "content": text}

    def ask(self, client: Any, history: list[Any], *, stream: bool) -> None:
        response = client.messages.create(model="m", max_tokens=9, messages=history, stream=stream)
        if stream:
            list(response)

    def sent(self, body: dict[str, Any]) -> Any:
        return body["messages"]

    def stored(self, result: str) -> str:
        """How memory writes the result of a tool."""
        return result


class Converse(Messages):
    """Bedrock's messages: every content is a list."""

    make = staticmethod(bedrock)

    def human(self, said: tuple[str, ...], *, parts: bool) -> dict[str, Any]:
        return {"role": "user", "content": [{"text": text} for text in said]}

    def called(self, call: ToolCall) -> dict[str, Any]:
        used = {"toolUseId": call.id, "name": call.name, "input": {"at": "sky"}}
        return {"role": "assistant", "content": [{"toolUse": used}]}

    def result(self, call: ToolCall, text: str) -> dict[str, Any]:
        return {"role": "user", "content": [{"toolResult": {"toolUseId": call.id, "content": [{"text": text}]}}]}

    def answered(self, text: str) -> dict[str, Any]:
        return {"role": "assistant", "content": [{"text": text}]}

    def ask(self, client: Any, history: list[Any], *, stream: bool) -> None:
        if stream:
            list(client.converse_stream(modelId="m", messages=history)["stream"])
        else:
            client.converse(modelId="m", messages=history)


class Contents(Messages):
    """Google's contents."""

    make = staticmethod(google)

    def human(self, said: tuple[str, ...], *, parts: bool) -> dict[str, Any]:
        return {"role": "user", "parts": [{"text": text} for text in said]}

    def called(self, call: ToolCall) -> dict[str, Any]:
        return {"role": "model", "parts": [{"functionCall": {"id": call.id, "name": call.name, "args": {"at": "sky"}}}]}

    def result(self, call: ToolCall, text: str) -> dict[str, Any]:
        response = {"id": call.id, "name": call.name, "response": {"result": text}}
        return {"role": "user", "parts": [{"functionResponse": response}]}

    def answered(self, text: str) -> dict[str, Any]:
        return {"role": "model", "parts": [{"text": text}]}

    def ask(self, client: Any, history: list[Any], *, stream: bool) -> None:
        if stream:
            list(client.models.generate_content_stream(model="m", contents=history))
        else:
            client.models.generate_content(model="m", contents=history)

    def sent(self, body: dict[str, Any]) -> Any:
        return body["contents"]

    def stored(self, result: str) -> str:
        return json.dumps({"result": result}, ensure_ascii=False)


@dataclass(repr=False)
class World:
    server: LoopbackServer
    memory: StoredMemory
    spelling: Messages
    client: Any


@pytest.fixture(scope="module", params=[Messages, Converse, Contents], ids=["anthropic", "bedrock", "google"])
def world(request, tmp_path_factory):
    spelling = request.param()
    storage = SQLStorage(f"sqlite:///{tmp_path_factory.mktemp('histories')}/memory.db", StorageOptions())
    storage.build()
    with ExitStack() as stack:
        server = stack.enter_context(LoopbackServer())
        client = stack.enter_context(spelling.make(server))
        memory = StoredMemory(storage=storage)
        llm = memory.registry()
        llm.register(client)
        yield World(server, memory, spelling, client)
        llm.close()
        memory.executor.close()
    storage.close()


def without_block(found: Any) -> Any:
    """What was sent without our addition: a text in front of a string, or one part more."""
    if isinstance(found, str):
        return found.removeprefix(f"{KNOWN}\n\n")
    if isinstance(found, dict):
        return {key: without_block(value) for key, value in found.items()}
    if isinstance(found, list):
        return [without_block(value) for value in found if not (isinstance(value, dict) and value.get("text") == KNOWN)]
    return found


@settings(max_examples=25, deadline=None)
@given(conversation=st.lists(exchanges, min_size=1, max_size=3), name=users)
def test_the_provider_gets_what_was_passed_and_the_database_what_was_said(world, conversation, name):
    spelling = world.spelling
    attribution = Attribution(name, session_id=f"session-{next(numbers)}")
    world.memory.speaker.set(attribution)
    world.memory.known = {name: "likes tea"}
    history: list[Any] = []
    said: list[tuple[str, str]] = []

    def call(passed: list[Any], answer: Answer, *, stream: bool) -> None:
        world.server.say(answer)
        spelling.ask(world.client, passed, stream=stream)
        sent = spelling.sent(world.server.last.body)
        assert without_block(sent) == passed
        # A question of blanks alone is none.
        assert str(sent).count("<memori_context>") == bool("".join(exchange.human).strip())

    for exchange in conversation:
        kept = history if exchange.window is None else history[max(0, len(history) - exchange.window) :]
        new = [spelling.human(exchange.human, parts=exchange.parts)]
        said.append(("user", "\n".join(exchange.human)))
        for result in exchange.tools:
            tool = ToolCall(f"call-{next(numbers)}", "look", '{"at": "sky"}')
            call([*kept, *new], Answer(tool_calls=(tool,)), stream=exchange.stream)
            new += [spelling.called(tool), spelling.result(tool, result)]
            said += [("assistant", ""), ("tool", spelling.stored(result))]
        call([*kept, *new], Answer(exchange.answer), stream=exchange.stream)
        new.append(spelling.answered(exchange.answer))
        said.append(("assistant", exchange.answer))
        history += new

    stored = [(one.message.role, one.message.content) for one in world.memory.storage.messages(attribution)]
    assert stored == said
