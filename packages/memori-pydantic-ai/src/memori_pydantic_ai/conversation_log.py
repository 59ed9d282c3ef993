"""Keep conversations: a record says where one ends, and entries hold one message each, linked to the one before.

The records and entries are the JSON of Pydantic AI's own `ConversationRecord` and `ConversationEntry`, which versions
before 2.66 do not have; so what an old version stored is a conversation for a new one.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from memori import Attribution, Condition, Expectation, ItemWrite, Memori, VersionConflictError

from .native_messages import JSON, redacted

RECORDS = ("pydantic-ai", "conversations")
ENTRIES = ("pydantic-ai", "messages")
_SHARED = (("pydantic-ai",), "shared entries")
"""Written whenever a conversation begins in the middle of another: who deletes entries expects it unchanged."""
_MOST_REMEMBERED = 200_000
"""How many ids of entries are remembered."""

Line = tuple[str, ...]
"""The ids of a history's entries, oldest first."""


class ConversationLog:
    """The conversations of the users of one Memori object. Every call says whose; nothing is found for another user.

    The ids of a whole history are kept with its record, so that reading it is one query. What is before an entry never
    changes: lines once read are remembered.
    """

    def __init__(self, memori: Memori) -> None:
        self._memori = memori
        self._lines: OrderedDict[tuple[str, str, str], Line] = OrderedDict()
        self._remembered = 0
        self._lock = threading.Lock()

    def record(self, who: Attribution, conversation_id: str) -> JSON | None:
        """Return a conversation's record, or None."""
        (found,) = self._memori.items.read([(RECORDS, conversation_id)], attribution=who)
        return None if found is None else self._seen(who, dict(found.value))

    def records(self, who: Attribution, *, limit: int | None = None) -> list[JSON]:
        """Return the user's records, the one saved last first."""
        if limit == 0:
            return []
        found = self._memori.items.search(RECORDS, limit=limit, attribution=who)
        records = [self._seen(who, dict(one.item.value)) for one in found]
        return sorted(records, key=lambda record: str(record["updated_at"]), reverse=True)

    def entry(self, who: Attribution, entry_id: str) -> JSON:
        """Return an entry. Raises `LookupError` when there is none of that id."""
        (entry,) = self._entries(who, (entry_id,))
        return entry

    def history(self, who: Attribution, head_id: str | None, *, limit: int | None = None) -> list[JSON]:
        """Return the entries up to `head_id`, or the last `limit` of them. Raises `LookupError` when one is missing."""
        if head_id is None or limit == 0:
            return []
        line = self._line(who, head_id)
        return self._entries(who, line if limit is None else line[-limit:])

    def write(
        self, who: Attribution, record: JSON, new_entries: Sequence[JSON], *, expected_revision: str | None
    ) -> None:
        """Store a record and its new entries in one transaction.

        Raises `VersionConflictError`, and stores nothing, when the stored record's revision is another, there is one
        although None is expected, or the entry that the history goes on from is gone.
        """
        conversation_id, head_id = record["conversation_id"], record["head_id"]
        before = self.record(who, conversation_id)
        revision = None if before is None else before["revision"]
        if revision != expected_revision:
            raise VersionConflictError(f"The conversation {conversation_id!r} was saved or deleted since it was read.")
        known = _lines_of(before)
        try:
            line = self._line_of(who, head_id, {entry["id"]: entry for entry in new_entries}, known)
            branches = {tip: self._line_of(who, tip, {}, known) for tip in record.get("branches", ())}
        except LookupError as error:
            raise VersionConflictError(f"The messages that {conversation_id!r} goes on from are gone.") from error
        new = {entry["id"] for entry in new_entries}
        writes = [
            ItemWrite(ENTRIES, entry["id"], {**entry, "message": redacted(self._memori, entry["message"])})
            for entry in new_entries
        ]
        writes.append(ItemWrite(RECORDS, conversation_id, {**record, "line": list(line), "lines": _listed(branches)}))
        expected = [_revision(conversation_id, expected_revision)]
        shared = [one for one in line if one not in new]
        if shared:
            expected.append(Expectation(ENTRIES, shared[-1], Condition(("id",), "eq", shared[-1])))
            if expected_revision is None:
                writes.append(ItemWrite(*_SHARED, {"revision": record["revision"]}))
        self._memori.items.write(writes, attribution=who, expected=expected, redacted=True)
        self._remember(who, line)

    def delete(self, who: Attribution, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a record, and the entries that no other conversation of the user shares.

        Raises `VersionConflictError` when the stored record's revision is another.
        """
        while True:
            (guard,) = self._memori.items.read([_SHARED], attribution=who)
            records = {record["conversation_id"]: record for record in self.records(who)}
            gone = records.pop(conversation_id, None)
            if gone is None or gone["revision"] != expected_revision:
                raise VersionConflictError(f"The conversation {conversation_id!r} was saved or deleted meanwhile.")
            kept = {one for record in records.values() for one in _reached(record)}
            writes = [ItemWrite(ENTRIES, one, None) for one in _reached(gone) if one not in kept]
            is_unchanged = None if guard is None else Condition(("revision",), "eq", guard.value["revision"])
            try:
                self._memori.items.write(
                    [*writes, ItemWrite(RECORDS, conversation_id, None)],
                    attribution=who,
                    expected=[_revision(conversation_id, expected_revision), Expectation(*_SHARED, is_unchanged)],
                )
            except VersionConflictError:
                continue  # It was saved meanwhile, or another conversation shares its entries now: look again.
            return

    def _entries(self, who: Attribution, ids: Sequence[str]) -> list[JSON]:
        found = self._memori.items.read([(ENTRIES, one) for one in ids], attribution=who)
        entries = []
        for entry_id, item in zip(ids, found, strict=True):
            if item is None:
                raise LookupError(f"{who.entity_id!r} has no stored message {entry_id!r}.")
            entries.append(dict(item.value))
        return entries

    def _line_of(self, who: Attribution, head_id: str | None, new: dict[str, JSON], known: list[Line]) -> Line:
        """The line up to an entry that may not be stored yet."""
        rest: list[str] = []
        while head_id in new:
            rest.append(head_id)
            head_id = new[head_id]["parent_id"]
        if head_id is None:
            return tuple(reversed(rest))
        return (*(_up_to(head_id, known) or self._line(who, head_id)), *reversed(rest))

    def _line(self, who: Attribution, head_id: str) -> Line:
        """The line up to a stored entry: remembered, or followed from entry to entry."""
        rest: list[str] = []
        at: str | None = head_id
        while at is not None:
            with self._lock:
                line = self._lines.get((who.namespace, who.entity_id, at))
            if line is not None:
                return (*line, *reversed(rest))
            rest.append(at)
            at = self.entry(who, at)["parent_id"]
        return tuple(reversed(rest))

    def _seen(self, who: Attribution, record: JSON) -> JSON:
        for line in _lines_of(record):
            self._remember(who, line)
        return record

    def _remember(self, who: Attribution, line: Line) -> None:
        if not line:
            return
        with self._lock:
            key = (who.namespace, who.entity_id, line[-1])
            self._remembered += len(line) - len(self._lines.pop(key, ()))
            self._lines[key] = line
            while self._remembered > _MOST_REMEMBERED:
                self._remembered -= len(self._lines.popitem(last=False)[1])


def _revision(conversation_id: str, revision: str | None) -> Expectation:
    return Expectation(RECORDS, conversation_id, None if revision is None else Condition(("revision",), "eq", revision))


def _lines_of(record: JSON | None) -> list[Line]:
    """The lines of a record: the history's own, then those of the branches it left."""
    return [] if record is None else [tuple(record["line"]), *map(tuple, record["lines"].values())]


def _up_to(entry_id: str, lines: Iterable[Line]) -> Line | None:
    """The part of a line that ends with the entry."""
    return next((line[: line.index(entry_id) + 1] for line in lines if entry_id in line), None)


def _reached(record: JSON) -> Iterable[str]:
    """The entries of a conversation's history and of the branches it left."""
    return dict.fromkeys(itertools.chain(*_lines_of(record)))


def _listed(lines: dict[str, Line]) -> dict[str, list[str]]:
    return {tip: list(line) for tip, line in lines.items()}
