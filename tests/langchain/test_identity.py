"""Whose memory a run is about: where it is looked for, and that nothing happens without it."""

from dataclasses import dataclass
from typing import Any

import pytest
from langgraph.runtime import ExecutionInfo, Runtime, ServerInfo
from memori import Attribution, InvalidAttributionError, Memori, MissingAttributionError
from memori_langchain import MemoriMiddleware
from memori_langchain.identity import Identity

from tests.langchain.models import agent, says


@dataclass
class Context:
    user_id: str | None = None
    entity_id: str | None = None


class User(dict[str, Any]):
    identity = "server-user"
    display_name = "Server User"
    is_authenticated = True
    permissions: tuple[str, ...] = ()


SERVER = ServerInfo("assistant", "graph", user=User())


def runtime(context: Any = None, *, server: ServerInfo | None = None, thread: Any = None) -> Runtime[Any]:
    info = ExecutionInfo(checkpoint_id="c", checkpoint_ns="", task_id="t", thread_id=thread)
    return Runtime(context=context, server_info=server, execution_info=info)


@pytest.mark.parametrize(
    ("identity", "given", "entity_id"),
    [
        (Identity("fixed"), runtime({"user_id": "ada"}, server=SERVER), "fixed"),
        (Identity(), runtime({"user_id": "ada"}, server=SERVER), "ada"),
        (Identity(), runtime({"user_id": "ada", "entity_id": "team"}), "team"),
        (Identity(), runtime(Context(user_id="ada"), server=SERVER), "ada"),
        (Identity(), runtime(Context(user_id="ada", entity_id="team")), "team"),
        (Identity(), runtime(Context(), server=SERVER), "server-user"),
        (Identity(), runtime(server=SERVER), "server-user"),
    ],
)
def test_the_first_place_that_names_somebody_decides(identity: Identity, given: Any, entity_id: str) -> None:
    assert identity.of(given).entity_id == entity_id


def test_the_thread_is_the_session() -> None:
    assert Identity("ada").of(runtime(thread="t")) == Attribution("ada", None, "t")
    assert Identity("ada", "bot").of(runtime(thread=7)) == Attribution("ada", "bot", "7")
    assert Identity("ada").of(Runtime()) == Attribution("ada")


def test_an_attribution_as_the_context_is_taken_as_it_is() -> None:
    whole = Attribution("ada", "bot", "s", namespace="app")

    assert Identity(process_id="other").of(runtime(whole, thread="t")) == whole
    assert Identity(process_id="bot").of(runtime(Attribution("ada"), thread="t")) == Attribution("ada", "bot", "t")


@pytest.mark.parametrize("unusable", ["", "  ", 7, ["ada"]])
def test_an_id_that_cannot_be_one_is_refused_rather_than_looked_for_elsewhere(unusable: Any) -> None:
    with pytest.raises(InvalidAttributionError):
        Identity().of(runtime({"user_id": unusable}, server=SERVER))


@pytest.mark.parametrize("awaited", [False, True])
async def test_a_run_without_anybody_fails_before_the_model_is_called(memori: Memori, awaited: bool) -> None:
    model = says("Hello.")
    chat = agent(model, middleware=[MemoriMiddleware(memori)])

    with pytest.raises(MissingAttributionError, match=r"agent.invoke\(..., context="):
        _ = await chat.ainvoke({"messages": "Hi"}) if awaited else chat.invoke({"messages": "Hi"})

    assert model.requests == []


def test_the_current_attribution_of_a_thread_is_not_used(memori: Memori) -> None:
    chat = agent(says("Hello."), middleware=[MemoriMiddleware(memori)])

    with memori.scope("ada"), pytest.raises(MissingAttributionError):
        chat.invoke({"messages": "Hi"})


def test_the_config_is_trusted_only_when_told_to(memori: Memori) -> None:
    given: Any = {"configurable": {"user_id": "ada"}}

    with pytest.raises(MissingAttributionError):
        agent(says("a"), middleware=[MemoriMiddleware(memori)]).invoke({"messages": "Hi"}, given)
    trusting = MemoriMiddleware(memori, configurable_key="user_id")
    agent(says("a"), middleware=[trusting]).invoke({"messages": "Hi"}, given)

    assert len(memori.messages(attribution=Attribution("ada"))) == 2


async def test_the_config_is_found_when_awaited(memori: Memori) -> None:
    given: Any = {"configurable": {"who": "ada"}}
    chat = agent(says("a"), middleware=[MemoriMiddleware(memori, configurable_key="who")])

    await chat.ainvoke({"messages": "Hi"}, given)

    assert len(memori.messages(attribution=Attribution("ada"))) == 2


def test_a_context_of_the_agents_own_schema_is_read(memori: Memori) -> None:
    chat = agent(says("a"), middleware=[MemoriMiddleware(memori, process_id="bot")], context_schema=Context)

    chat.invoke({"messages": "Hi"}, context=Context(user_id="ada"))

    assert len(memori.messages(attribution=Attribution("ada", "bot"))) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"entity_id": " "}, InvalidAttributionError),
        ({"process_id": ""}, InvalidAttributionError),
        ({"limit": 0}, ValueError),
        ({"inject": "message"}, ValueError),
    ],
)
def test_a_wrong_option_is_refused_at_once(memori: Memori, options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        MemoriMiddleware(memori, **options)
