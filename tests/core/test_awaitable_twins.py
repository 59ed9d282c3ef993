"""The awaitable methods never cancel the task that awaits them."""

import asyncio
import threading
from pathlib import Path

import pytest
from memori import Attribution, ClosedError, Memori, hookimpl


class Gate:
    """A plugin that holds every recall until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()

    @hookimpl
    def memori_plan_query(self, query: str) -> str:
        self.open.wait(30)
        return query


async def test_a_call_that_close_drops_says_so_and_does_not_cancel_its_caller(tmp_path: Path) -> None:
    gate = Gate()
    memori = Memori(f"sqlite:///{tmp_path / 'memory.db'}", extractor="none", embedder="hashing", plugins=[gate])
    memori.config.storage.build()
    calls = [asyncio.ensure_future(memori.arecall("tea", attribution=Attribution("ada"))) for _ in range(20)]
    await asyncio.sleep(0)

    closing = threading.Thread(target=memori.close)
    closing.start()
    dropped = calls[-1]
    await asyncio.wait([dropped])
    gate.open.set()
    await asyncio.wait(calls)
    closing.join()

    assert not dropped.cancelled()
    with pytest.raises(ClosedError, match="before the call began"):
        await dropped
    for call in calls:
        call.exception()


async def test_a_caller_who_is_cancelled_stays_cancelled(tmp_path: Path) -> None:
    gate = Gate()
    with Memori(f"sqlite:///{tmp_path / 'memory.db'}", extractor="none", embedder="hashing", plugins=[gate]) as memori:
        call = asyncio.ensure_future(memori.arecall("tea", attribution=Attribution("ada")))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        gate.open.set()
