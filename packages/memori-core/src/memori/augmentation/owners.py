"""Whose memories there are."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import IdentityError
from ..model import Attribution
from ..storage.base import Storage
from ..storage.records import EntityState

_PAGE = 500


def owners_of(storage: Storage, namespace: str, entity_id: str | None) -> list[Attribution]:
    """Everybody in the namespace, or the one that is named. Raises `IdentityError` for somebody unknown."""
    return list(_all(storage, namespace)) if entity_id is None else [_known(storage, namespace, entity_id)]


def _all(storage: Storage, namespace: str) -> Iterator[Attribution]:
    after: str | None = None
    while page := storage.entities(namespace, after=after, limit=_PAGE):
        yield from (Attribution(entity, namespace=namespace) for entity in page)
        after = page[-1]


def _known(storage: Storage, namespace: str, entity_id: str) -> Attribution:
    who = Attribution(entity_id, namespace=namespace)
    if storage.state(who) == EntityState():
        raise IdentityError(
            f"Nothing is stored about an entity {entity_id!r} in {storage.display}, namespace {namespace!r}. "
            "Ids are exact, case included."
        )
    return who
