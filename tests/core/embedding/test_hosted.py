"""Embedders that ask a service: the real SDKs, against a server on this machine that speaks each one's protocol."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from huggingface_hub import close_session
from memori import Attribution, Memori
from memori.conformance import EmbedderConformance
from memori.embedding.base import Space
from memori.embedding.cohere import CohereEmbedder
from memori.embedding.hosted import TEXT_BYTES, HostedEmbedder
from memori.embedding.huggingface import HuggingFaceEmbedder
from memori.embedding.ollama import OllamaEmbedder
from memori.embedding.openai import OpenAIEmbedder
from memori.errors import ConfigurationError, EmbeddingError, UnknownProviderError

from tests.loopback import Answer, LoopbackServer
from tests.loopback.embeddings import DIMENSION, WIRES

SECRET = "sk-0123456789-secret"


@dataclass(frozen=True)
class Service:
    """A provider with the model to name, and the field that carries texts."""

    kind: type[HostedEmbedder]
    model: str
    field: str


SERVICES = {
    "openai": Service(OpenAIEmbedder, "some-model", "input"),
    "ollama": Service(OllamaEmbedder, "some-model", "input"),
    "cohere": Service(CohereEmbedder, "some-model", "texts"),
    "huggingface": Service(HuggingFaceEmbedder, "", "inputs"),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    with LoopbackServer(wires=WIRES) as server:
        root = server.url.removesuffix("/v1")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OLLAMA_HOST", root)
        monkeypatch.setenv("CO_API_URL", root)
        for key in ("OPENAI_API_KEY", "CO_API_KEY", "HF_TOKEN", "OLLAMA_API_KEY"):
            monkeypatch.setenv(key, SECRET)
        yield server
        # The one client of the hub that all of the process share.
        close_session()


@pytest.fixture(params=SERVICES.values(), ids=SERVICES.keys())
def service(request: pytest.FixtureRequest) -> Service:
    chosen: Service = request.param
    return chosen


@pytest.fixture
def embedder(service: Service, server: LoopbackServer) -> HostedEmbedder:
    return made(service, server)


def made(service: Service, server: LoopbackServer, *, timeout: float = 20.0) -> HostedEmbedder:
    return service.kind(service.model or f"{server.url}/feature-extraction", timeout=timeout)


def shown(error: BaseException) -> str:
    """All that a log with a traceback would show."""
    return "".join(traceback.format_exception(error))


class TestOpenAI(EmbedderConformance):
    @pytest.fixture
    def embedder(self, server: LoopbackServer) -> HostedEmbedder:
        return made(SERVICES["openai"], server)


class TestOllama(EmbedderConformance):
    @pytest.fixture
    def embedder(self, server: LoopbackServer) -> HostedEmbedder:
        return made(SERVICES["ollama"], server)


class TestCohere(EmbedderConformance):
    @pytest.fixture
    def embedder(self, server: LoopbackServer) -> HostedEmbedder:
        return made(SERVICES["cohere"], server)


class TestHuggingFace(EmbedderConformance):
    @pytest.fixture
    def embedder(self, server: LoopbackServer) -> HostedEmbedder:
        return made(SERVICES["huggingface"], server)


@pytest.mark.parametrize(
    ("model", "dimension"),
    [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072), ("text-embedding-ada-002", 1536)],
)
def test_the_dimension_of_a_known_model_is_known_without_asking(
    server: LoopbackServer, model: str, dimension: int
) -> None:
    assert OpenAIEmbedder(model).space == Space("openai", model, dimension)
    assert server.calls == []


def test_the_dimension_of_another_model_is_asked_for_once(embedder: HostedEmbedder, server: LoopbackServer) -> None:
    assert [embedder.space.dimension for _ in range(3)] == [DIMENSION] * 3
    assert len(server.calls) == 1


def test_texts_go_out_in_as_few_requests_as_the_service_takes(
    embedder: HostedEmbedder, service: Service, server: LoopbackServer
) -> None:
    texts = [f"note {number}" for number in range(2 * service.kind.batch_texts + 1)]
    dimension = embedder.space.dimension
    server.calls.clear()
    vectors = embedder.embed(texts)

    assert vectors.shape == (len(texts), dimension)
    assert [len(call.body[service.field]) for call in server.calls] == [*[service.kind.batch_texts] * 2, 1]


def test_what_is_too_long_is_cut_and_what_is_too_much_is_split(
    embedder: HostedEmbedder, service: Service, server: LoopbackServer
) -> None:
    embedder.embed(["彼女は" * 10_000] * 90)
    sent = [call.body[service.field] for call in server.calls]

    assert max(len(text.encode()) for texts in sent for text in texts) <= TEXT_BYTES
    assert max(sum(len(text.encode()) for text in texts) for texts in sent) <= 300_000


def test_white_space_is_not_sent(embedder: HostedEmbedder, service: Service, server: LoopbackServer) -> None:
    embedder.embed(["", " \n", "tea"])

    assert all(text.strip() for call in server.calls for text in call.body[service.field])


def test_cohere_is_told_what_is_a_query(server: LoopbackServer) -> None:
    embedder = made(SERVICES["cohere"], server)
    embedder.embed(["tea"])
    assert server.last.body["input_type"] == "search_document"

    embedder.embed_query("tea")
    assert server.last.body["input_type"] == "search_query"


@pytest.mark.parametrize("status", [429, 500])
def test_a_passing_failure_is_tried_again(embedder: HostedEmbedder, server: LoopbackServer, status: int) -> None:
    server.say(Answer(f"busy {SECRET}", status=status))

    assert embedder.embed(["tea"]).shape == (1, DIMENSION)


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, "the key was refused"), (404, "there is no such model"), (429, "too many"), (503, "the service failed")],
)
def test_a_failure_that_stays_is_an_error_without_secrets(
    embedder: HostedEmbedder, server: LoopbackServer, status: int, told: str
) -> None:
    server.say(*[Answer(f"Incorrect: {SECRET}", status=status)] * 3)
    with pytest.raises(EmbeddingError, match=f"status {status}.*{told}") as caught:
        embedder.embed(["tea"])

    assert SECRET not in shown(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_refused_key_is_not_tried_again(embedder: HostedEmbedder, server: LoopbackServer) -> None:
    server.say(*[Answer("no", status=401)] * 3)
    with pytest.raises(EmbeddingError):
        embedder.embed(["tea"])

    assert len(server.calls) == 1


def test_a_service_that_hangs_is_given_up(service: Service, server: LoopbackServer) -> None:
    hold = threading.Event()
    server.say(*[Answer(hold=hold)] * 3)
    try:
        with pytest.raises(EmbeddingError, match=r"no answer within 0\.1 s"):
            made(service, server, timeout=0.1).embed(["tea"])
    finally:
        hold.set()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("short", "answered 1 vectors for 2 texts"),
        ("narrow", "answered 8 dimensions"),
        ("wild", "one vector per text|no answer that could be read"),
    ],
)
def test_a_wrong_answer_is_an_error(embedder: HostedEmbedder, server: LoopbackServer, answer: str, told: str) -> None:
    assert embedder.space.dimension == DIMENSION
    server.say(answer)
    with pytest.raises(EmbeddingError, match=told):
        embedder.embed(["tea", "coffee"])


@pytest.mark.parametrize(("name", "key"), [("openai", "OPENAI_API_KEY"), ("cohere", "CO_API_KEY")])
def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch, server: LoopbackServer, name: str, key: str) -> None:
    monkeypatch.delenv(key)
    with pytest.raises(EmbeddingError, match=f"set {key}"):
        made(SERVICES[name], server).embed(["tea"])

    assert server.calls == []


def test_a_name_without_a_model_is_answered_with_an_example(service: Service) -> None:
    with pytest.raises(ConfigurationError, match=f"{service.kind.name}/{service.kind.example}"):
        service.kind()


def test_the_secrets_of_an_endpoint_are_neither_stored_nor_shown(server: LoopbackServer) -> None:
    address = server.url.replace("://", f"://user:{SECRET}@")
    embedder = HuggingFaceEmbedder(f"{address}/feature-extraction?token={SECRET}")
    server.say(Answer(status=401))
    with pytest.raises(EmbeddingError) as caught:
        embedder.embed(["tea"])

    assert SECRET not in shown(caught.value)
    assert SECRET not in embedder.space.key


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownProviderError, match=r"cohere, hashing, huggingface, minilm, ollama, openai"):
        Memori("sqlite://", embedder="opanai/any")


def test_a_memory_is_found_by_the_vectors_of_a_service(server: LoopbackServer) -> None:
    with Memori("sqlite://", embedder="openai/some-model", extractor="none") as memori:
        memori.attribution("ada").remember("drinks green tea")
        found = memori.recall("green tea")

    assert [one.text for one in found] == ["drinks green tea"]


def test_forked_children_ask_for_themselves(embedder: HostedEmbedder) -> None:
    before = embedder.embed(["tea"])
    parents = embedder._connected()
    embedder._after_fork()

    assert np.array_equal(embedder.embed(["tea"]), before)
    assert embedder._connected() is not parents
    parents.__exit__(None, None, None)


@pytest.mark.parametrize("name", ["openai/some-model", "ollama/some-model"])
def test_without_the_service_memory_works_by_words(
    monkeypatch: pytest.MonkeyPatch, server: LoopbackServer, name: str
) -> None:
    server.say(*[Answer(status=401)] * 50)
    ada = Attribution("ada")
    with Memori("sqlite://", embedder=name, extractor="none") as memori:
        memori.remember("drinks green tea", attribution=ada)
        found = memori.recall("green tea", attribution=ada)

    assert [one.text for one in found] == ["drinks green tea"]
