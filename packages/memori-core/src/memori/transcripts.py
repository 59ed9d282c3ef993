"""Read transcripts of real conversations from files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

from .errors import InvalidAttributionError, TranscriptError
from .messages import ROLE_ALIASES, text_of
from .model import ROLES, Message, ToolCall, check_id
from .text import storable

MAX_LINE = 64 * 2**20
"""Longest line of a JSONL file, in bytes."""

_TIMES = ("created_at", "timestamp", "create_time")
_SESSION_IDS = ("session_id", "conversation_id", "id")
_LOCOMO_SESSION = re.compile(r"session_(\d+)")
_LOCOMO_TIME = "%I:%M %p on %d %B, %Y"
_MILLISECONDS = 1e11  # as seconds, this is the year 5138


@dataclass(frozen=True, slots=True)
class Transcript:
    """Messages of one session, in order. A long session comes in several, one after the other.

    `session_id`: the file's own id for the conversation, else made of the file's name. Every message has an id: its
    own, else one made of its place and content, so reading a file again, or after it grew, gives the same ids.
    """

    session_id: str
    messages: tuple[Message, ...]


def read(path: Path | str, *, batch: int = 200) -> Iterator[Transcript]:
    """Yield the conversations of a file, at most `batch` messages at a time.

    Understands OpenAI-style messages: as JSON (a list of them, an object with `messages`, or a list of either), as
    JSON lines (`.jsonl`, `.ndjson`: a message or a conversation per line, read line by line), and LoCoMo files. Times
    without a zone are UTC. Raises `TranscriptError` at the first thing that cannot be read, after yielding what came
    before it.
    """
    path = Path(path)
    session, pending, empty = "", list[Message](), True
    entries = _lines(path) if path.suffix.lower() in {".jsonl", ".ndjson"} else _document(path)
    try:
        for session_id, message in entries:
            if pending and (session_id != session or len(pending) == batch):
                yield Transcript(session, tuple(pending))
                pending = []
            session, empty = session_id, False
            pending.append(message)
    except (TranscriptError, OSError) as error:
        if pending:
            yield Transcript(session, tuple(pending))
        if isinstance(error, OSError):
            raise TranscriptError(path, f"cannot be read: {error.strerror or error}.") from error
        raise
    if empty:
        raise TranscriptError(path, "holds no messages.")
    yield Transcript(session, tuple(pending))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file something stands, for errors; `session` names its conversation."""

    path: Path
    session: str
    what: str = ""
    line: int | None = None

    def error(self, reason: str) -> TranscriptError:
        return TranscriptError(self.path, f"{self.what} {reason}".strip(), line=self.line)


_Entries = Iterator[tuple[str, Message]]


def _document(path: Path) -> _Entries:
    place = _Place(path, _session_of(path))
    with path.open("rb") as file:
        data = file.read()
    text = _decode(data, place).strip()
    if not text:
        raise place.error("is empty.")
    value = _parse(text, place)
    items = value if isinstance(value, list) else [value]
    for number, item in enumerate(items, 1):
        yield from _item(item, number, place)


def _lines(path: Path) -> _Entries:
    place = _Place(path, _session_of(path))
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
            here = replace(place, line=number)
            if len(line) > MAX_LINE:
                raise here.error(f"is longer than {MAX_LINE} bytes; is this a JSON lines file?")
            if text := _decode(line, here).strip():
                yield from _item(_parse(text, here), number, here)


def _decode(data: bytes, place: _Place) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise place.error("is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 IN > OUT")
    if b"\x00" in data:
        raise place.error("is binary, not JSON text.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise place.error(
            f"is not UTF-8 (byte 0x{data[error.start]:02x} at offset {error.start}); "
            "convert it, for example: iconv -f LATIN1 -t UTF-8 IN > OUT"
        ) from None


def _parse(text: str, place: _Place) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = place.line if place.line is not None else error.lineno
        raise replace(place, line=line).error(f"is not valid JSON: {error.msg} at column {error.colno}.") from None
    except (ValueError, RecursionError) as error:
        raise place.error(f"is not usable JSON: {error}.") from None


def _item(value: Any, number: int, place: _Place) -> _Entries:
    """A message or a conversation: item `number` of a list, or line `number` of a file."""
    session = place.session if number == 1 else f"{place.session}-{number}"
    if isinstance(value, list):
        value = {"messages": value}
    if not isinstance(value, Mapping):
        value = {}
    if "role" in value:
        yield _own_id(value, _SESSION_IDS[:2], place) or place.session, _message(value, number, place)
    elif isinstance(value.get("messages"), list):
        what = f"conversation {number}, " if number > 1 and place.line is None else ""
        yield from _conversation(value, session, replace(place, what=what))
    elif _is_locomo(locomo := value.get("conversation", value)):
        yield from _locomo(locomo, session, place)
    else:
        raise place.error(
            f'holds neither a message ({{"role": …, "content": …}}) nor a conversation ({{"messages": […]}})'
            f"{f' at item {number}' if place.line is None else ''}."
        )


def _conversation(value: Mapping[str, Any], session: str, place: _Place) -> _Entries:
    session = _own_id(value, _SESSION_IDS, place) or session
    began = _time(value, place)
    for position, raw in enumerate(value["messages"], 1):
        message = _message(raw, position, place)
        yield session, replace(message, created_at=message.created_at or began)


def _message(raw: Any, position: int, place: _Place) -> Message:
    place = replace(place, what=f"{place.what}message {position}")
    if not isinstance(raw, Mapping):
        raise place.error(f"is {type(raw).__name__}, not an object.")
    given = raw.get("role")
    role = ROLE_ALIASES.get(given, given) if isinstance(given, str) else given
    if role not in ROLES:
        raise place.error(f"has the unknown role {given!r}; known roles: {', '.join((*ROLES, *ROLE_ALIASES))}.")
    calls = tuple(_tool_call(call, place) for call in _list(raw.get("tool_calls"), "tool_calls", place))
    content = _content(raw, place, required=not calls)
    return Message(
        role=role,
        content=content,
        name=_string(raw, "name", place),
        created_at=_time(raw, place),
        id=_own_id(raw, ("id",), place) or _made_id(position, role, content, calls),
        tool_calls=calls,
        tool_call_id=_string(raw, "tool_call_id", place),
    )


def _content(raw: Mapping[str, Any], place: _Place, *, required: bool) -> str:
    content = raw.get("content")
    if content is None:
        content = raw.get("refusal")
    if content is None and required:
        raise place.error("has no content.")
    try:
        return text_of(content)
    except TypeError as error:
        raise place.error(f"is unusable: {error}") from None


def _tool_call(raw: Any, place: _Place) -> ToolCall:
    function = raw.get("function") if isinstance(raw, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise place.error('has a tool call without {"function": {"name": …}}.')
    arguments = function.get("arguments", "{}")
    return ToolCall(
        id=_string(raw, "id", place) or "",
        name=function["name"],
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False),
    )


def _list(value: Any, what: str, place: _Place) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise place.error(f"has {what} of type {type(value).__name__}; expected a list.")
    return value or []


def _string(raw: Mapping[str, Any], key: str, place: _Place) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise place.error(f"has a {key} of type {type(value).__name__}; expected a string.")
    return value or None


def _own_id(raw: Mapping[str, Any], keys: Sequence[str], place: _Place) -> str | None:
    for key in keys:
        value = raw.get(key)
        if value is not None and not isinstance(value, bool):
            try:
                return check_id(str(value) if isinstance(value, int) else value, key)
            except InvalidAttributionError as error:
                raise place.error(f"has an unusable id: {error}") from None
    return None


def _made_id(position: int, role: str, content: str, calls: tuple[ToolCall, ...]) -> str:
    seen = json.dumps([position, role, content, [call.id for call in calls]])
    return blake2b(seen.encode(), digest_size=16).hexdigest()


def _session_of(path: Path) -> str:
    return storable(path.stem)[:200]


def _time(raw: Mapping[str, Any], place: _Place) -> datetime | None:
    key = next((key for key in _TIMES if raw.get(key) is not None), None)
    if key is None:
        return None
    value = raw[key]
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value.strip())
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value if abs(value) < _MILLISECONDS else value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise place.error(f"has a bad {key}: {value!r}; expected ISO 8601 or seconds since 1970.")


def _is_locomo(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() >= {"speaker_a", "speaker_b", "session_1"}


def _locomo(value: Mapping[str, Any], session: str, place: _Place) -> _Entries:
    """Two people talk; both are users here. A shared photo is told by its caption, turns are a minute apart."""
    numbers = sorted(int(match[1]) for key in value if (match := _LOCOMO_SESSION.fullmatch(key)))
    for number in numbers:
        here = replace(place, what=f"session {number}")
        given = value.get(f"session_{number}_date_time")
        try:
            began = datetime.strptime(str(given), _LOCOMO_TIME).replace(tzinfo=UTC)
        except ValueError:
            raise here.error(f"has the date {given!r}; expected one like '1:56 pm on 8 May, 2023'.") from None
        for position, turn in enumerate(_list(value[f"session_{number}"], "turns", here), 1):
            at = replace(here, what=f"{here.what}, turn {position}")
            if not isinstance(turn, Mapping) or not isinstance(turn.get("text"), str):
                raise at.error("has no text.")
            caption = turn.get("blip_caption")
            yield (
                f"{session}-{number}",
                Message(
                    role="user",
                    content=turn["text"] + (f" [shares {caption}]" if caption else ""),
                    name=_string(turn, "speaker", at),
                    created_at=began + timedelta(minutes=position - 1),
                    id=_own_id(turn, ("dia_id",), at) or _made_id(position, "user", turn["text"], ()),
                ),
            )
