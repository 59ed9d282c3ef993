"""The provider gets what the caller passed plus our block; the database gets what was said, once."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memori.llm.base import spoken
from memori.model import Attribution, Message, Receipt, ToolCall
from memori.storage.records import StorageOptions, Turn
from memori.storage.sql.storage import SQLStorage

from tests.core.llm.memories import WatchedMemory, block
from tests.loopback import Answer, LoopbackServer, openai

KNOWN = block("likes tea")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)
users = st.integers().map("user-{}".format)
numbers = itertools.count()


@dataclass
class StoredMemory(WatchedMemory):
    """Puts turns into a database."""

    storage: Any = field(default=None)

    def record_turn(self, messages: Sequence[Message], *, attribution: Attribution, resent: int) -> Receipt:
        now = datetime.now(UTC)
        return self.storage.append(attribution, Turn(tuple(messages), resent=resent, now=now))


@dataclass(frozen=True)
class Exchange:
    """One human message, in parts or not, the tools called for it, and the answer."""

    human: tuple[str, ...]
    parts: bool
    tools: tuple[str, ...]
    answer: str
    stream: bool
    window: int | None


exchanges = st.builds(
    Exchange,
    human=st.lists(texts, min_size=1, max_size=3).map(tuple),
    parts=st.booleans(),
    tools=st.lists(texts, max_size=2).map(tuple),
    answer=texts,
    stream=st.booleans(),
    window=st.none() | st.integers(0, 3),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    database = f"sqlite:///{tmp_path_factory.mktemp('histories')}/memory.db"
    storage = SQLStorage(database, StorageOptions())
    storage.build()
    with LoopbackServer() as server, openai(server) as client:
        memory = StoredMemory(storage=storage)
        llm = memory.registry()
        llm.register(client)
        yield server, client, memory
        llm.close()
        memory.executor.close()
    storage.close()


def without_block(message):
    """The message without our addition: a text in front of a string, or one part more."""
    content = message["content"]
    if message["role"] != "user":
        return message
    if isinstance(content, str):
        return {**message, "content": content.removeprefix(f"{KNOWN}\n\n")}
    return {**message, "content": [part for part in content if part != {"type": "text", "text": KNOWN}]}


@settings(max_examples=60, deadline=None)
@given(conversation=st.lists(exchanges, min_size=1, max_size=4), system=st.none() | texts, name=users)
def test_the_provider_gets_what_was_passed_and_the_database_what_was_said(world, conversation, system, name):
    server, client, memory = world
    attribution = Attribution(name, session_id=f"session-{next(numbers)}")
    memory.speaker.set(attribution)
    memory.known = {name: "likes tea"}
    history: list[dict[str, Any]] = []
    said: list[tuple[str, str]] = []
    leading = [] if system is None else [{"role": "system", "content": system}]

    def call(messages, answer, stream):
        passed = leading + messages
        server.say(answer)
        response = client.chat.completions.create(model="m", messages=passed, stream=stream)
        if stream:
            list(response)
        sent = server.last.messages
        assert [without_block(message) for message in sent] == passed
        # A question of blanks alone is none.
        assert str(sent).count("<memori_context>") == bool("".join(exchange.human).strip())

    for exchange in conversation:
        if exchange.parts:
            content: Any = [{"type": "text", "text": text} for text in exchange.human]
        else:
            content = "\n".join(exchange.human)
        kept = history if exchange.window is None else history[len(history) - min(len(history), exchange.window) :]
        messages = [*kept, {"role": "user", "content": content}]
        said.append(("user", "\n".join(exchange.human)))
        for number, result in enumerate(exchange.tools):
            tool = ToolCall(f"{next(numbers)}", "look", f'{{"step": {number}}}')
            call(messages, Answer(tool_calls=(tool,)), exchange.stream)
            function = {"name": tool.name, "arguments": tool.arguments}
            asked = {"role": "assistant", "content": None}
            asked["tool_calls"] = [{"id": tool.id, "type": "function", "function": function}]
            messages = [*messages, asked, {"role": "tool", "tool_call_id": tool.id, "content": result}]
            said += [("assistant", ""), ("tool", result)]
        call(messages, Answer(exchange.answer), exchange.stream)
        said.append(("assistant", exchange.answer))
        new = [*messages[len(kept) :], {"role": "assistant", "content": exchange.answer}]
        history = [*history, *new]

    stored = [(one.message.role, one.message.content) for one in memory.storage.messages(attribution)]
    assert stored == said


@given(content=st.text(max_size=20))
def test_taking_our_block_out_gives_back_the_exact_text(content):
    assert spoken([f"{KNOWN}\n\n{content}"]) == content
