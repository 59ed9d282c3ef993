"""Embed what is stored anew, while others go on recording and recalling."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..embedding.base import Embedder
from ..embedding.vectors import learnt_space
from ..errors import StorageError
from ..model import Attribution, Reindexed
from ..storage.base import Storage
from ..storage.records import Unembedded
from .embedding import embed_missing
from .owners import owners_of

_PATIENCE = 10


def reindex(
    storage: Storage,
    embedder: Embedder,
    namespace: str,
    *,
    entity_id: str | None,
    drop_old: bool,
    batch: int,
    progress: Callable[[int, int], None],
    written: Callable[[Attribution], None] = lambda _: None,
) -> Reindexed:
    """Give every fact a vector in the embedder's space, and make that the active space of each entity.

    Entity by entity, and each batch commits by itself: what is done stays done, wherever this is interrupted. What
    others record meanwhile is embedded too before an entity goes over. `written` is called after each write of an
    entity's; it does not raise. Raises `IdentityError` for an unknown entity.
    """
    space, done = learnt_space(embedder), 0
    owners = owners_of(storage, namespace, entity_id)
    total = sum(storage.count_unembedded(who, space) for who in owners)
    progress(done, total)
    for who in owners:
        while True:
            for size in _sweep(storage, embedder, who, batch):
                done += size
                written(who)
                progress(done, max(done, total))
            finished = storage.state(who).space == space and not drop_old
            if finished or not storage.activate(who, space, drop_old=drop_old):
                written(who)
                break
    return Reindexed(space.key, len(owners), done)


def _sweep(storage: Storage, embedder: Embedder, who: Attribution, batch: int) -> Iterator[int]:
    """Embed until nothing is missing; yield how many facts each batch had."""
    last: tuple[Unembedded, ...] = ()
    repeated = 0
    while page := embed_missing(storage, embedder, who, limit=batch):
        # A rival who forgets what was said before can undo a batch, but not again and again.
        repeated = repeated + 1 if page == last else 0
        if repeated == _PATIENCE:
            raise StorageError(f"{storage.display} does not keep the vectors of fact {page[0].fact.id!r}.")
        last = page
        yield len(page)
