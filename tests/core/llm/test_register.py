"""Registering a client, and what it leaves behind."""

import asyncio
import threading
from unittest.mock import MagicMock

import pytest
import wrapt
from memori.errors import UnknownClientError
from openai import AsyncOpenAI, OpenAI

from tests.core.llm.memories import ADA, BOB, WatchedMemory
from tests.loopback import LoopbackServer

HELLO = [{"role": "user", "content": "hello"}]


def say(client: OpenAI, text: str = "hello") -> None:
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])


def test_register_returns_the_memori_object(client, memory):
    assert memory.registry().register(client) is memory


def test_registering_twice_captures_once(client, memory):
    llm = memory.registry()
    llm.register(client, attribution=ADA)
    llm.register(client)

    say(client)

    assert [turn.attribution for turn in memory.turns] == [ADA]


def test_registering_again_can_name_another_speaker(client, memory):
    llm = memory.registry()
    llm.register(client, attribution=ADA)
    llm.register(client, attribution=lambda: BOB)

    say(client)

    assert [turn.attribution for turn in memory.turns] == [BOB]


def test_threads_that_register_one_client_at_once_wrap_it_once(client, memory):
    llm = memory.registry()
    barrier = threading.Barrier(8)

    def register():
        barrier.wait()
        llm.register(client, attribution=ADA)

    threads = [threading.Thread(target=register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(client)

    assert len(memory.turns) == 1


def test_unregistering_leaves_the_client_as_it_was(client, memory):
    assert client.responses  # the SDK makes its parts when they are first asked for
    attributes = dict(vars(client.chat.completions)), set(vars(client))
    llm = memory.registry()
    llm.register(client, attribution=ADA)
    llm.unregister(client)

    say(client)

    assert (dict(vars(client.chat.completions)), set(vars(client))) == attributes
    assert memory.turns == []


def test_unregistering_what_was_never_registered_does_nothing(client, memory):
    assert memory.registry().unregister(client) is memory


def test_two_memories_on_one_client_both_capture(client, memory, server):
    other = WatchedMemory(known={"ada": "likes tea"})
    memory.known["ada"] = "lives in Paris"
    memory.registry().register(client, attribution=ADA)
    other.registry().register(client, attribution=ADA)

    say(client)

    assert memory.turns == other.turns
    assert memory.turns[0].texts == [("user", "hello"), ("assistant", "Understood.")]
    assert [query for query, *_ in memory.queries] == ["hello"]
    sent = server.last.messages[0]["content"]
    assert "likes tea" in sent
    assert "lives in Paris" in sent
    other.executor.close()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_layers_come_off_in_any_order(client, order):
    memories = [WatchedMemory(), WatchedMemory()]
    layers = [memory.registry() for memory in memories]
    for layer in layers:
        layer.register(client, attribution=ADA)

    layers[order[0]].unregister(client)
    say(client)
    assert [len(memory.turns) for memory in memories] == [order[0], order[1]]

    layers[order[1]].unregister(client)
    say(client)
    assert [len(memory.turns) for memory in memories] == [order[0], order[1]]
    assert "create" not in vars(client.chat.completions)
    for memory in memories:
        memory.executor.close()


def test_what_others_wrapped_around_a_client_stays_when_we_leave(client, memory):
    seen = []

    def watch(function, instance, args, kwargs):
        seen.append(kwargs["model"])
        return function(*args, **kwargs)

    llm = memory.registry()
    wrapt.wrap_function_wrapper(client.chat.completions, "create", watch)
    llm.register(client, attribution=ADA)
    wrapt.wrap_function_wrapper(client.chat.completions, "create", watch)

    llm.unregister(client)
    say(client)

    assert seen == ["m", "m"]
    assert memory.turns == []


def test_a_layer_that_cannot_be_taken_out_lets_calls_through(client, memory):
    llm = memory.registry()
    llm.register(client, attribution=ADA)
    ours = client.chat.completions.create
    client.chat.completions.create = lambda **kwargs: ours(**kwargs)

    llm.unregister(client)
    say(client)
    ours(model="m", messages=HELLO)

    llm.register(client, attribution=ADA)
    say(client)
    assert len(memory.turns) == 1


def test_copies_with_other_options_are_registered_too(client, memory):
    llm = memory.registry()
    llm.register(client, attribution=ADA)

    say(client.with_options(timeout=5))
    say(client.copy().with_options(max_retries=1))
    assert [turn.attribution for turn in memory.turns] == [ADA, ADA]

    copy = client.copy()
    llm.unregister(client)
    say(copy)
    assert len(memory.turns) == 2


def test_a_copy_can_be_unregistered_alone(client, memory):
    llm = memory.registry()
    llm.register(client, attribution=ADA)
    copy = client.copy()

    llm.unregister(copy)
    say(copy)
    say(client)

    assert len(memory.turns) == 1


def test_a_subclass_of_a_client_is_recognised(server, memory):
    class Ours(OpenAI):
        pass

    with Ours(base_url=server.url, api_key="none") as client:
        memory.registry().register(client, attribution=ADA)
        say(client)

    assert len(memory.turns) == 1


def test_a_closed_memory_lets_calls_through(client, memory):
    llm = memory.registry()
    llm.register(client, attribution=ADA)

    llm.close()
    say(client)

    assert memory.turns == []
    assert memory.queries == []


def test_an_unknown_client_is_told_which_are_known_and_how_to_get_them(memory):
    with pytest.raises(UnknownClientError, match=r"builtins\.dict.*openai.*pip install 'memori-core\[openai\]'"):
        memory.registry().register({})


@pytest.mark.parametrize("name", ["anthropic", "google", "openai"])
def test_an_unknown_client_is_told_what_brings_each_known_one(memory, name):
    with pytest.raises(UnknownClientError, match=rf"{name} for .*pip install 'memori-core\[{name}\]'"):
        memory.registry().register(object())


def test_a_mocked_client_is_not_a_client(memory):
    with pytest.raises(UnknownClientError, match="MagicMock"):
        memory.registry().register(MagicMock(spec=OpenAI))


def test_a_client_of_a_version_without_a_method_is_registered_for_the_rest(server, memory):
    class Older(OpenAI):
        responses = None

    with Older(base_url=server.url, api_key="none") as client:
        memory.registry().register(client, attribution=ADA)
        say(client)

    assert len(memory.turns) == 1


def test_a_part_of_a_known_client_is_not_a_client(client, memory):
    with pytest.raises(UnknownClientError, match="Completions"):
        memory.registry().register(client.chat.completions)


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI, dict])
def test_a_class_is_not_a_client(kind, memory):
    with pytest.raises(UnknownClientError, match=r"is a class; register an instance"):
        memory.registry().register(kind)


def test_an_attribution_is_not_a_string(client, memory):
    with pytest.raises(TypeError, match=r"got str\. Pass Attribution\(entity_id=\.\.\.\)"):
        memory.registry().register(client, attribution="ada")


def test_where_to_inject_is_user_or_system(memory):
    with pytest.raises(ValueError, match="'assistant'"):
        memory.registry(inject="assistant")


async def test_both_kinds_of_client_keep_working_unregistered_in_one_process(
    server: LoopbackServer, async_client, client
):
    say(client)
    await asyncio.gather(*(async_client.chat.completions.create(model="m", messages=HELLO) for _ in range(3)))

    assert len(server.calls) == 4
