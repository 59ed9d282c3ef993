"""The public names are typed for the dependencies of an agent; mypy reads this file as strictly as the package."""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_type

from memori import Attribution, Memori
from memori_pydantic_ai import (
    MemoriMemory,
    MemoriToolset,
    PydanticAIEmbedder,
    PydanticAIExtractor,
    aload_messages,
    load_messages,
    memori_history_processor,
)
from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.embeddings import TestEmbeddingModel
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.test import TestModel


@dataclass
class Shop:
    customer: str


def customer(ctx: RunContext[Shop]) -> Attribution:
    return Attribution(ctx.deps.customer, "shop")


def of_a_number(ctx: RunContext[int]) -> Attribution:
    return Attribution(str(ctx.deps))


async def test_an_agent_takes_a_memory_of_its_own_dependencies(memori: Memori) -> None:
    memory = MemoriMemory(memori, customer)
    assert_type(memory, MemoriMemory[Shop])
    processor = ProcessHistory(memori_history_processor(memori, customer))
    agent = Agent(TestModel(), deps_type=Shop, capabilities=[memory, processor])
    assert_type(agent, Agent[Shop, str])

    await agent.run("Hello.", deps=Shop("ada"))

    assert memori.messages(attribution=Attribution("ada", "shop"))


def test_a_memory_of_other_dependencies_is_an_error_of_types(memori: Memori) -> None:
    memory = MemoriMemory(memori, of_a_number)

    assert Agent(TestModel(), deps_type=Shop, capabilities=[memory])  # type: ignore[list-item]


async def test_tools_and_conversations_are_typed(memori: Memori) -> None:
    tools = MemoriToolset(memori, customer, forget=True)
    assert_type(tools, MemoriToolset[Shop])
    assert Agent(TestModel(), deps_type=Shop, toolsets=[tools])
    assert Agent(TestModel(), deps_type=Shop, toolsets=[MemoriToolset(memori, of_a_number)])  # type: ignore[arg-type]

    who = Attribution("ada")
    assert_type(load_messages(memori, who, "c"), list[ModelMessage])
    assert_type(await aload_messages(memori, who, "c"), list[ModelMessage])


def test_models_of_pydantic_ai_are_an_extractor_and_an_embedder(tmp_path: Path) -> None:
    extractor = PydanticAIExtractor(TestModel())
    embedder = PydanticAIEmbedder(TestEmbeddingModel())

    with Memori(f"sqlite:///{tmp_path}/m.db", extractor=extractor, embedder=embedder) as it:
        assert it.embedder is embedder
