"""Read documents, and gather the writes of one unit of work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pymongo.client_session import ClientSession
from pymongo.database import Database

from .layout import OWNED, Document

Sort = Sequence[tuple[str, int]]
Kind = Literal["put", "set", "remove", "clear"]


class Rows:
    """Documents as they are now, or as a transaction sees them."""

    def __init__(self, database: Database[Document], session: ClientSession | None = None) -> None:
        self.database = database
        self.session = session

    def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sort | None = None,
        limit: int | None = None,
        skip: int = 0,
        fields: Sequence[str] | None = None,
    ) -> Iterator[Document]:
        """Documents that match. `fields` narrows what is read of each; `limit` None reads all."""
        if limit == 0:
            return iter(())
        return iter(
            self.database[collection].find(
                where,
                None if fields is None else list(fields),
                sort=None if sort is None else list(sort),
                limit=limit or 0,
                skip=skip,
                session=self.session,
            )
        )

    def first(self, collection: str, where: Mapping[str, Any], *, sort: Sort | None = None) -> Document | None:
        """The first document that matches."""
        return next(self.find(collection, where, sort=sort, limit=1), None)

    def aggregate(self, collection: str, *stages: Mapping[str, Any]) -> Iterator[Document]:
        """What comes out of a pipeline."""
        return iter(self.database[collection].aggregate(list(stages), session=self.session))

    def count(self, collection: str, where: Mapping[str, Any]) -> int:
        """How many documents match."""
        return self.database[collection].count_documents(where, session=self.session)


class Write(NamedTuple):
    """One document to put whole, to set fields of, or to remove; or all of an entity's (`clear`, key is the entity)."""

    collection: str
    key: str
    kind: Kind
    fields: Document


class Unit(Rows):
    """The writes to one entity that become true together.

    All values are absolute and each document is written at most once, so that performing the writes again changes
    nothing. They are performed after the last read; what is removed here is not found here any more. `size` is how many
    documents are touched.
    """

    def __init__(self, database: Database[Document], entity: str, session: ClientSession | None = None) -> None:
        super().__init__(database, session)
        self.entity = entity
        self.erased = False
        self.size = 0
        self._writes: dict[tuple[str, str], Write] = {}

    @property
    def writes(self) -> list[Write]:
        """The writes in the order to perform them."""
        return sorted(self._writes.values(), key=lambda write: OWNED.index(write.collection))

    def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sort | None = None,
        limit: int | None = None,
        skip: int = 0,
        fields: Sequence[str] | None = None,
    ) -> Iterator[Document]:
        """Documents that match and are not to be removed."""
        removed = [w.key for w in self._writes.values() if w.collection == collection and w.kind == "remove"]
        if removed:
            where = {"$and": [where, {"_id": {"$nin": removed}}]}
        return super().find(collection, where, sort=sort, limit=limit, skip=skip, fields=fields)

    def put(self, collection: str, document: Document) -> None:
        """Write a document whole, whether it is there or not."""
        key = document["_id"]
        self._write(Write(collection, key, "put", document))

    def set(self, collection: str, key: str, fields: Document) -> None:
        """Set fields of a document that is there."""
        before = self._writes.get((collection, key))
        kind: Kind = "set" if before is None else before.kind
        merged = fields if before is None else {**before.fields, **fields}
        self._write(Write(collection, key, kind, merged))

    def remove(self, collection: str, key: str) -> None:
        """Remove a document."""
        self._write(Write(collection, key, "remove", {}))

    def clear(self, size: int) -> None:
        """Remove all that is the entity's, which is so many documents."""
        self.size = size
        self._writes = {(name, self.entity): Write(name, self.entity, "clear", {}) for name in OWNED}
        self.erased = True

    def _write(self, write: Write) -> None:
        self._writes[write.collection, write.key] = write
        self.size = len(self._writes)
