"""The conversation store keeps what Pydantic AI's own keeps, for one user at a time; of two writers one wins."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("pydantic_ai.conversation_store", reason="needs pydantic-ai-slim 2.66 or newer")

from memori import Attribution, InvalidAttributionError, ItemWrite, Memori, MissingAttributionError
from memori_pydantic_ai import MemoriConversationStore, MemoriMemory, append_messages, load_messages
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.conversation import Conversation, ConversationTypeAdapter
from pydantic_ai.conversation_store import ConversationConflict, ConversationStore, InMemoryConversationStore
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart

from tests.pydantic_ai.agents import Script, Visitor, as_json, said, visitor
from tests.pydantic_ai.test_message_history import every_part, turn

ADA, BOB = Attribution("ada"), Attribution("bob")


def reference(memori: Memori) -> ConversationStore:
    return InMemoryConversationStore()


def ours(memori: Memori) -> ConversationStore:
    return MemoriConversationStore(memori, ADA)


both = pytest.mark.parametrize("make", [reference, ours])
Make = Callable[[Memori], ConversationStore]


def conversation(*messages: ModelMessage, conversation_id: str = "c") -> Conversation:
    return Conversation(conversation_id=conversation_id, messages=list(messages))


async def texts(store: ConversationStore, conversation_id: str = "c", limit: int | None = None) -> list[str]:
    loaded = await store.load(conversation_id, limit=limit)
    assert loaded is not None
    return [part.content for one in loaded.messages for part in one.parts]  # type: ignore[union-attr, misc]


@both
async def test_runs_go_on_where_the_last_one_ended(memori: Memori, script: Script, make: Make) -> None:
    agent, store = Agent(script.model), make(memori)
    for number in range(3):
        loaded = await store.load("c") or conversation()
        stored = await store.save(await agent.run(f"Question {number}.", conversation=loaded))
        assert len(stored) == 2

    ended = await store.load("c")
    assert ended is not None
    assert [part.content for one in ended.messages[::2] for part in one.parts] == [  # type: ignore[union-attr]
        "Question 0.",
        "Question 1.",
        "Question 2.",
    ]
    assert ended.usage.requests == 3
    assert len(script.sent[-1]) == 5
    assert await store.load("another") is None
    assert len(await texts(store, limit=2)) == 2
    with pytest.raises(UserError):
        await store.load("c", limit=-1)


async def test_every_part_comes_back_as_it_was(memori: Memori) -> None:
    store, given = MemoriConversationStore(memori, ADA), conversation(*every_part(), *turn(1))

    entries = await store.save(given)
    back = await store.load("c")

    assert back is not None
    assert back.messages == given.messages
    assert as_json(back.messages) == as_json(given.messages)
    again = await store.load_entries("c")
    assert again is not None
    assert [(one.id, one.parent_id) for one in again] == [(one.id, one.parent_id) for one in entries]


@both
async def test_of_two_who_save_the_same_conversation_one_is_told_to_load_again(memori: Memori, make: Make) -> None:
    store = make(memori)
    await store.save(conversation(*turn(0)))
    loaded = [await store.load("c") for _ in range(8)]

    async def save(number: int) -> bool:
        mine = loaded[number]
        assert mine is not None
        mine.messages += turn(number + 1)
        try:
            await store.save(mine)
        except ConversationConflict:
            return False
        return True

    saved = await asyncio.gather(*map(save, range(8)))

    assert saved.count(True) == 1
    winner = saved.index(True) + 1
    assert await texts(store) == ["Question 0.", "Answer 0.", f"Question {winner}.", f"Answer {winner}."]
    with pytest.raises(ConversationConflict):
        await store.save(conversation(*turn(9)))


@both
async def test_a_rewritten_history_branches_and_the_one_it_left_can_be_gone_back_to(memori: Memori, make: Make) -> None:
    store = make(memori)
    entries = await store.save(conversation(*turn(0), *turn(1)))
    loaded = await store.load("c")
    assert loaded is not None

    branched = await store.branch("c", at=2, expected_revision=loaded.revision)
    branched.messages += turn(2)
    await store.save(branched)
    rewritten = conversation(*turn(3))
    rewritten.revision = branched.revision
    await store.save(rewritten)

    assert await texts(store) == ["Question 3.", "Answer 3."]
    back = await store.branch("c", from_entry=entries[-1].id, expected_revision=rewritten.revision)
    assert len(back.messages) == 4
    assert await texts(store) == ["Question 0.", "Answer 0.", "Question 1.", "Answer 1."]
    with pytest.raises(ConversationConflict):
        await store.branch("c", at=1, expected_revision="another")
    with pytest.raises(UserError, match="`at` must be between"):
        await store.branch("c", at=99, expected_revision=back.revision)


@both
async def test_a_fork_goes_its_own_way_and_outlives_the_conversation_it_came_from(memori: Memori, make: Make) -> None:
    store = make(memori)
    await store.save(conversation(*turn(0), *turn(1)))

    fork = await store.fork("c", at=2, new_conversation_id="fork")
    fork.messages += turn(2)
    await store.save(fork)
    await store.delete("c")

    assert await store.load("c") is None
    assert await texts(store, "fork") == ["Question 0.", "Answer 0.", "Question 2.", "Answer 2."]
    assert [(one.conversation_id, one.forked_from) for one in await store.list_conversations()] == [("fork", "c")]
    with pytest.raises(UserError, match="is not in the store"):
        await store.fork("c")


@both
async def test_conversations_are_listed_newest_first(memori: Memori, make: Make) -> None:
    store = make(memori)
    for name in ("one", "two", "three"):
        await store.save(conversation(*turn(1), conversation_id=name))
    again = await store.load("one")
    assert again is not None
    await store.save(again)

    assert [one.conversation_id for one in await store.list_conversations()] == ["one", "three", "two"]
    assert [one.conversation_id for one in await store.list_conversations(limit=1)] == ["one"]
    assert await store.list_conversations(limit=0) == []


async def test_what_a_deleted_conversation_said_is_gone_but_for_what_another_shares(memori: Memori) -> None:
    store = MemoriConversationStore(memori, ADA)
    await store.save(conversation(*turn(0), *turn(1)))
    await store.fork("c", at=2, new_conversation_id="fork")

    await store.delete("c")

    left = json.dumps([one.item.value for one in memori.items.search((), attribution=ADA)], default=str)
    assert "Question 0." in left
    assert "Question 1." not in left
    await store.delete("fork")
    assert "Question 0." not in str(memori.items.search((), attribution=ADA))


async def test_a_fork_made_while_its_source_is_deleted_is_whole_or_refused(memori: Memori) -> None:
    store = MemoriConversationStore(memori, ADA)
    for number in range(6):
        await store.save(conversation(*turn(number), conversation_id=f"c{number}"))

        async def fork(source: str = f"c{number}") -> str | None:
            try:
                await store.fork(source, new_conversation_id=f"{source}-fork")
            except (ConversationConflict, UserError):
                return None
            return f"{source}-fork"

        forked, _ = await asyncio.gather(fork(), store.delete(f"c{number}"))

        if forked is not None:
            assert await texts(store, forked) == [f"Question {number}.", f"Answer {number}."]
        assert await store.load(f"c{number}") is None


async def test_nobody_reaches_a_conversation_of_anothers(memori: Memori) -> None:
    store = MemoriConversationStore(memori)
    entries = await store.save(conversation(*turn(1)), scope="ada")

    assert await store.load("c", scope="bob") is None
    assert await store.load_entries("c", scope="bob") is None
    assert await store.list_conversations(scope="bob") == []
    await store.delete("c", scope="bob")
    with pytest.raises(UserError, match="is not in the store"):
        await store.fork("c", source_scope="bob", scope="bob")
    with pytest.raises(InvalidAttributionError, match="cannot become one of 'bob'"):
        await store.fork("c", source_scope="ada", scope="bob")
    with pytest.raises(LookupError):
        await MemoriConversationStore(memori, BOB).read_entry(entries[0].id)
    await store.save(conversation(*turn(2)), scope="bob")

    mine = await store.load("c", scope="ada")
    assert mine is not None
    assert mine.messages == [one.message for one in entries]
    assert [one.scope for one in await store.list_conversations(scope="ada")] == ["ada"]


async def test_a_call_that_names_nobody_or_somebody_else_is_refused(memori: Memori) -> None:
    anybodys, adas = MemoriConversationStore(memori), MemoriConversationStore(memori, ADA)
    calls = [
        lambda store, **scope: store.load("c", **scope),
        lambda store, **scope: store.load_entries("c", **scope),
        lambda store, **scope: store.save(conversation(), **scope),
        lambda store, **scope: store.branch("c", at=0, expected_revision=None, **scope),
        lambda store, **scope: store.fork("c", **scope),
        lambda store, **scope: store.list_conversations(**scope),
        lambda store, **scope: store.delete("c", **scope),
        lambda store, **scope: store.read_records(**scope),
    ]

    for call in calls:
        with pytest.raises(MissingAttributionError, match="scope="):
            await call(anybodys)
        with pytest.raises(InvalidAttributionError, match="keeps the conversations of 'ada'"):
            await call(adas, scope="bob")
    for call in (anybodys.read_record, anybodys.read_entry):
        with pytest.raises(MissingAttributionError):
            await call("c")
    assert memori.items.search((), attribution=ADA) == []
    with pytest.raises(TypeError, match="Memori object"):
        MemoriConversationStore("sqlite:///memory.db")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Attribution"):
        MemoriConversationStore(memori, "ada")  # type: ignore[arg-type]


@both
async def test_a_paused_conversation_knows_what_it_waits_for(memori: Memori, script: Script, make: Make) -> None:
    chat = Agent(script.model, output_type=[str, DeferredToolRequests])
    chat.tool_plain(requires_approval=True)(lambda: "brewing")
    store = make(memori)
    await store.save(await chat.run("Please make tea.", conversation=conversation()))

    paused = await store.load("c")
    assert paused is not None
    assert paused.deferred_tool_requests is not None
    results = paused.deferred_tool_requests.build_results(approve_all=True)
    done = await chat.run(conversation=paused, deferred_tool_results=results)
    await store.save(done)

    assert done.output == "Noted, thank you."
    ended = await store.load("c")
    assert ended is not None
    assert ended.deferred_tool_requests is None
    assert len(ended.messages) == 4


@both
async def test_a_conversation_that_was_broken_off_before_its_tools_ran_goes_on_as_the_framework_says(
    memori: Memori, script: Script, make: Make
) -> None:
    store, agent = make(memori), Agent(script.model)
    agent.tool_plain(name="brew")(lambda: "brewing")
    call = ModelResponse(parts=[ToolCallPart("brew", {}, "call-1")])
    await store.save(conversation(ModelRequest(parts=[UserPromptPart("Tea?")]), call))

    with pytest.raises(UserError, match="unprocessed tool calls"):
        await agent.run("Hello?", conversation=await store.load("c"))
    await store.save(await agent.run(conversation=await store.load("c")))

    assert await texts(store, limit=2) == ["brewing", "Noted, thank you."]


async def test_a_conversation_that_was_sent_to_a_browser_and_back_is_stored_once(memori: Memori) -> None:
    store = MemoriConversationStore(memori, ADA)
    await store.save(conversation(*turn(0)))
    loaded = await store.load("c")
    returned = ConversationTypeAdapter.validate_json(ConversationTypeAdapter.dump_json(loaded))  # type: ignore[arg-type]
    returned.messages += turn(1)

    await store.save(returned)

    assert await texts(store) == ["Question 0.", "Answer 0.", "Question 1.", "Answer 1."]
    (record,) = await store.list_conversations()
    assert record.branches == []


async def test_what_an_old_version_kept_with_functions_is_a_conversation_for_a_new_one(memori: Memori) -> None:
    append_messages(memori, ADA, "c", turn(0))
    store = MemoriConversationStore(memori, ADA)

    loaded = await store.load("c")
    assert loaded is not None
    loaded.messages += turn(1)
    await store.save(loaded)
    append_messages(memori, ADA, "c", turn(2))

    assert await texts(store) == [f"{kind} {number}." for number in range(3) for kind in ("Question", "Answer")]
    assert len(load_messages(memori, ADA, "c")) == 6


async def test_a_conversation_in_the_form_of_the_first_version_is_still_read(memori: Memori) -> None:
    at = datetime(2026, 11, 25, tzinfo=UTC).isoformat()
    part = {"content": "Hello.", "timestamp": at, "part_kind": "user-prompt"}
    native = {"parts": [part], "instructions": None, "kind": "request", "run_id": "run-1"}
    entry = {"id": "e1", "parent_id": None, "kind": "message", "message": native}
    record = {
        "conversation_id": "c",
        "head_id": "e1",
        "scope": "ada",
        "branches": [],
        "format_version": 1,
        "revision": "r1",
        "updated_at": at,
        "line": ["e1"],
        "lines": {},
    }
    memori.items.write(
        [
            ItemWrite(("pydantic-ai", "messages"), "e1", entry),
            ItemWrite(("pydantic-ai", "conversations"), "c", record),
        ],
        attribution=ADA,
    )

    assert await texts(MemoriConversationStore(memori, ADA)) == ["Hello."]
    assert [one.run_id for one in load_messages(memori, ADA, "c")] == ["run-1"]


async def test_a_branch_nobody_remembers_is_followed_message_by_message(memori: Memori) -> None:
    store = MemoriConversationStore(memori, ADA)
    entries = await store.save(conversation(*turn(0), *turn(1)))

    history = await MemoriConversationStore(memori, ADA).read_history(entries[2].id)

    assert [one.id for one in history] == [one.id for one in entries[:3]]
    with pytest.raises(LookupError, match="no stored message 'missing'"):
        await store.read_entry("missing")


async def test_beside_the_capability_memory_learns_and_the_store_keeps(memori: Memori, script: Script) -> None:
    store = MemoriConversationStore(memori, ADA)
    agent = Agent(script.model, deps_type=Visitor, capabilities=[MemoriMemory(memori, visitor)])

    await store.save(await agent.run("I drink tea.", deps=Visitor("ada"), conversation=conversation()))

    assert said(memori, "ada") == [("user", "I drink tea."), ("assistant", "Noted, thank you.")]
    assert len(await texts(store)) == 2


async def test_erasing_a_user_takes_their_conversations(memori: Memori) -> None:
    store = MemoriConversationStore(memori)
    for user in ("ada", "bob"):
        await store.save(conversation(ModelResponse(parts=[TextPart("Hello.")])), scope=user)

    memori.erase("ada")

    assert await store.load("c", scope="ada") is None
    assert await store.load("c", scope="bob") is not None


async def test_an_encrypted_database_holds_no_word_of_a_conversation(tmp_path: Path) -> None:
    class Swapped:
        def encode(self, text: str) -> str:
            return text.swapcase()[::-1]

        def decode(self, stored: str) -> str:
            return stored[::-1].swapcase()

        def fingerprint(self, folded: str) -> str:
            return self.encode(folded)

    with Memori(f"sqlite:///{tmp_path}/m.db", embedder="hashing", codec=Swapped()) as it:
        store = MemoriConversationStore(it, ADA)
        await store.save(conversation(*turn(1)))
        assert await texts(store) == ["Question 1.", "Answer 1."]

    assert b"Question" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
