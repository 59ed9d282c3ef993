"""LiteLLM, as a module, through its router, and everywhere in the process."""

import asyncio
import gc
import os
from collections.abc import Iterator

import pytest
from memori import Memori
from memori.errors import UnknownClientError
from memori.model import ToolCall

from tests.core.llm.memories import ADA, WatchedMemory, block
from tests.loopback import Answer

# It leaves connections open, and warns of its own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore")

TEA = block("likes tea")
USER = {"role": "user", "content": "What do I like?"}


@pytest.fixture(scope="module")
def litellm() -> Iterator:
    """The library, with the prices of models that it brings: it would fetch them."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm = pytest.importorskip("litellm", reason="pip install 'memori-core[litellm]'")
    litellm.telemetry = False
    yield litellm
    asyncio.run(litellm.close_litellm_async_clients())
    litellm.in_memory_llm_clients_cache.flush_cache()
    gc.collect()


@pytest.fixture
def way(litellm, server, request):
    """Where to ask, and with what."""
    if request.param == "module":
        return litellm, {"model": "openai/m", "api_base": server.url, "api_key": "none", "num_retries": 0}
    model = {"model_name": "m", "litellm_params": {"model": "openai/m", "api_base": server.url, "api_key": "none"}}
    return litellm.Router(model_list=[model], num_retries=0), {"model": "m"}


both = pytest.mark.parametrize("way", ["module", "router"], indirect=True)
every_call = pytest.mark.parametrize("call", ["sync", "sync stream", "async", "async stream"])


def ask(way, call, *args, **more):
    client, named = way
    arguments = {**named, **more}
    if args:
        args = (arguments.pop("model"), *args)
    else:
        arguments.setdefault("messages", [USER])
    stream = {"stream": True} if "stream" in call else {}
    if call.startswith("sync"):
        response = client.completion(*args, **arguments, **stream)
        return [seen(chunk) for chunk in response] if stream else seen(response)

    async def asked():
        response = await client.acompletion(*args, **arguments, **stream)
        return [seen(chunk) async for chunk in response] if stream else seen(response)

    return asyncio.run(asked())


def seen(response):
    """A response, without ids and times."""
    dumped = response.model_dump(mode="json", warnings=False)
    return type(response), dumped["model"], dumped["choices"], dumped.get("usage")


@pytest.fixture
def registered(memory, way):
    memory.known["ada"] = "likes tea"
    llm = memory.registry()
    llm.register(way[0], attribution=ADA)
    yield llm
    llm.unregister(way[0])


@both
@every_call
def test_every_way_of_asking_is_heard_once_and_answered_as_without_us(memory, server, way, call):
    tools = (ToolCall("c1", "look", '{"at": "sky"}'),)
    server.say(*[Answer("You like tea.", tool_calls=tools)] * 2)
    alone = ask(way, call)
    memory.known["ada"] = "likes tea"
    llm = memory.registry()
    llm.register(way[0], attribution=ADA)
    try:
        remembered = ask(way, call)
    finally:
        llm.unregister(way[0])
    ask(way, call)

    assert remembered == alone
    assert [one.messages for one in server.calls] == [
        [USER],
        [{**USER, "content": f"{TEA}\n\nWhat do I like?"}],
        [USER],
    ]
    (turn,) = memory.turns
    assert turn.texts == [("user", "What do I like?"), ("assistant", "You like tea.")]
    assert turn.messages[1].tool_calls == tools
    assert not turn.messages[1].partial
    assert turn.messages[1].payload["model"]


@both
def test_arguments_may_be_passed_by_position(registered, memory, way):
    messages = [dict(USER)]

    ask(way, "sync", messages)

    assert messages == [USER]
    assert len(memory.turns) == 1


@both
def test_wrong_arguments_are_refused_in_its_words(registered, memory, way):
    client, named = way

    with pytest.raises(TypeError, match="multiple values"):
        client.completion("m", [USER], **{**named, "messages": [USER]})
    assert memory.turns == []


@both
@pytest.mark.parametrize("call", ["sync", "async stream"])
def test_errors_pass_and_store_nothing(registered, memory, server, way, call):
    server.say(Answer("no", status=400))

    with pytest.raises(Exception, match="no"):
        ask(way, call)
    assert memory.turns == []


@pytest.mark.parametrize("way", ["module"], indirect=True)
def test_a_stream_that_is_dropped_is_stored_as_far_as_it_was_read(registered, memory, server, way):
    server.say("one two three four five")
    client, named = way
    stream = client.completion(**named, messages=[USER], stream=True)

    heard = "".join(next(stream).choices[0].delta.content or "" for _ in range(3))
    stream.close()
    del stream
    gc.collect()

    assert memory.recorded.acquire(timeout=10)
    answer = memory.turns[0].messages[1]
    assert answer.partial
    assert heard.startswith(answer.content)


@pytest.mark.parametrize("way", ["router"], indirect=True)
@pytest.mark.parametrize("call", ["sync", "async stream"])
def test_a_router_and_the_module_it_calls_hear_a_call_once_for_each_memory(registered, litellm, memory, way, call):
    other = WatchedMemory()
    registered.register(litellm, attribution=ADA)
    other.registry().register(litellm, attribution=ADA)
    ask(way, call)
    registered.unregister(litellm)
    ask(way, call)

    other.executor.close()
    assert len(memory.turns) == 2
    assert len(other.turns) == 2


@pytest.mark.parametrize("way", ["module", "router"], indirect=True)
def test_enable_hears_all_calls_until_disable(tmp_path, server, way):
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        memori.enable().attribution("ada")
        ask(way, "sync")
        ask(way, "async")
        memori.disable()
        ask(way, "sync")

        assert [one.message.role for one in memori.messages()] == ["user", "assistant"] * 2


def test_another_module_is_no_client(memory):
    with pytest.raises(UnknownClientError, match="the module json"):
        memory.registry().register(__import__("json"))
