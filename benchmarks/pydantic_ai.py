"""What memory adds to a run of a Pydantic AI agent: off, on, and on with the memory tools; and what keeping costs.

python -m benchmarks.pydantic_ai [--runs 50] [--facts 500]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from memori import Attribution, Memori
from memori_pydantic_ai import MemoriMemory, aappend_messages, aload_messages
from pydantic_ai import Agent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from .sentences import sentences

ADA = Attribution("ada")
MESSAGES = 1000


def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answer at once; where the model has tools, search memory first."""
    searched = any(part.part_kind == "tool-return" for part in messages[-1].parts)
    if info.function_tools and not searched:
        return ModelResponse([ToolCallPart("memori_recall", {"query": "Where do I live?"})])
    return ModelResponse([TextPart("Noted.")])


async def timed(call: Callable[[int], Awaitable[object]], runs: int) -> list[float]:
    """Milliseconds of each call, after one to warm up."""
    await call(-1)
    took = []
    for number in range(runs):
        began = time.perf_counter()
        await call(number)
        took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(memori: Memori, runs: int) -> None:
    ways: dict[str, list[AbstractCapability[None]]] = {
        "off": [],
        "on": [MemoriMemory(memori, ADA)],
        "on with tools": [MemoriMemory(memori, ADA, tools=True)],
    }
    off = 0.0
    print(f"{'memory':16} {'median ms':>10} {'p95 ms':>8} {'added ms':>9}")
    for name, capabilities in ways.items():
        agent = Agent(FunctionModel(reply), capabilities=capabilities)
        took = await timed(lambda number, agent=agent: agent.run(f"What did I say about topic {number}?"), runs)  # type: ignore[misc]
        median = statistics.median(took)
        off = off or median
        print(f"{name:16} {median:10.2f} {sorted(took)[int(len(took) * 0.95) - 1]:8.2f} {median - off:9.2f}")

    async def append(number: int) -> None:
        turn: list[ModelMessage] = [
            ModelRequest([UserPromptPart(f"Question {number}.")]),
            ModelResponse([TextPart(f"Answer {number}.")]),
        ]
        await aappend_messages(memori, ADA, "long", turn)

    long = [message for number in range(MESSAGES // 2) for message in _turn(number)]
    await aappend_messages(memori, ADA, "long", long)
    print(f"append 2 to {MESSAGES} messages: {statistics.median(await timed(append, 10)):.2f} ms")
    load = await timed(lambda _: aload_messages(memori, ADA, "long"), 10)
    print(f"load {MESSAGES} messages: {statistics.median(load):.2f} ms")


def _turn(number: int) -> list[ModelMessage]:
    question = ModelRequest([UserPromptPart(f"Old question {number}.")])
    return [question, ModelResponse([TextPart(f"Old answer {number}.")])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--facts", type=int, default=500)
    options = parser.parse_args()
    print(f"pydantic-ai-slim {version('pydantic-ai-slim')}, {options.facts} facts, {options.runs} runs, SQLite")
    with tempfile.TemporaryDirectory() as folder, Memori(f"sqlite:///{folder}/memory.db", extractor="none") as memori:
        for text in itertools.islice(sentences(), options.facts):
            memori.remember(text, attribution=ADA)
        asyncio.run(measure(memori, options.runs))


if __name__ == "__main__":
    main()
