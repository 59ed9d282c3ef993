"""`memori doctor`: register each installed SDK in front of a scripted model on this machine, and say what works."""

from __future__ import annotations

import json as json_
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import typer

from .console import console, note, print_json, table, text
from .options import Json

if TYPE_CHECKING:
    from ..client import Memori
    from .loopback import LoopbackServer

QUESTION = "What do I like to drink?"
ANSWER = "You like tea."
_USER = {"role": "user", "content": QUESTION}
_CHAT: dict[str, Any] = {"model": "m", "messages": [_USER]}
_MESSAGES: dict[str, Any] = {**_CHAT, "max_tokens": 9}
_CONVERSE: dict[str, Any] = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": QUESTION}]}]}


@dataclass(frozen=True, slots=True)
class Check:
    """How an SDK is tried. Each of `calls` takes a client and returns the text of the answer."""

    distribution: str
    client: Callable[[LoopbackServer], AbstractContextManager[Any]]
    calls: Mapping[str, Callable[[Any], str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a check. `version` is None where the SDK is not installed, `problem` empty where a call works."""

    adapter: str
    distribution: str
    version: str | None
    call: str
    problem: str


def doctor(json: Json = False) -> None:
    """Try each installed LLM client: is it heard, answered from memory, and stored? Nothing leaves this machine."""
    found = list(_findings())
    if json:
        print_json([asdict(finding) for finding in found])
    else:
        shown = table("Client", "Version", "Call", "", whole=("Client", "Version", "Call"), wide="")
        for finding in found:
            state = "works" if not finding.problem else finding.problem
            style = "green" if not finding.problem else ("dim" if finding.version is None else "red")
            shown.add_row(
                text(finding.adapter), text(finding.version or "–"), text(finding.call or "–"), text(state, style)
            )
        console().print(shown)
    failed = [finding for finding in found if finding.problem and finding.version is not None]
    if failed:
        note(f"{len(failed)} of the calls above don't work. `memori --debug doctor` logs why.")
        raise typer.Exit(1)


def _findings() -> Iterator[Finding]:
    from ..client import Memori
    from ..plugins import Plugins
    from ..settings import Settings
    from .loopback import LoopbackServer

    known = Plugins().providers("llm_adapters")
    with tempfile.TemporaryDirectory(prefix="memori-") as folder, _apart(), LoopbackServer() as server:
        settings = Settings(database_url=f"sqlite:///{folder}/doctor.db", cache_dir=folder)
        with Memori(settings=settings, embedder="hashing", extractor="none") as memori:
            for name, check in sorted(_checks().items()):
                try:
                    installed = version(check.distribution)
                except PackageNotFoundError:
                    yield Finding(name, check.distribution, None, "", f"not installed: {known[name].install}")
                    continue
                for call, problem in _tried(check, memori, server, name):
                    yield Finding(name, check.distribution, installed, call, problem)


def _tried(check: Check, memori: Memori, server: LoopbackServer, name: str) -> Iterator[tuple[str, str]]:
    """Each call with what is wrong with it, or ""."""
    try:
        with check.client(server) as client:
            memori.llm.register(client)
            try:
                for call, ask in check.calls.items():
                    with memori.scope(f"{name} {call}"):
                        yield call, _problem(memori, server, lambda ask=ask: ask(client))  # type: ignore[misc]
            finally:
                memori.llm.unregister(client)
    except Exception as error:  # noqa: BLE001 - what is wrong with one SDK is shown beside the others
        yield "register", f"{type(error).__name__}: {error}"


def _problem(memori: Memori, server: LoopbackServer, ask: Callable[[], str]) -> str:
    memori.remember("I like to drink tea.")
    server.say(ANSWER)
    seen = len(server.calls)
    try:
        answer = ask()
    except Exception as error:  # noqa: BLE001 - the user is told, and the next call is tried
        return f"{type(error).__name__}: {error}"
    if answer != ANSWER:
        return f"the answer is {answer!r}"
    if len(server.calls) != seen + 1 or "memori_context" not in json_.dumps(server.last.body):
        return "answered without what is known"
    stored = [(one.message.role, one.message.content) for one in memori.messages()]
    return "" if stored == [("user", QUESTION), ("assistant", ANSWER)] else f"stored {stored}"


@contextmanager
def _apart() -> Iterator[None]:
    """Keep the SDKs from proxies, and from fetching what they know."""
    wanted = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _checks() -> dict[str, Check]:
    """By the name of the adapter."""
    return {
        "anthropic": Check("anthropic", _anthropic, {"messages.create": _message, "messages.stream": _message_stream}),
        "bedrock": Check("boto3", _bedrock, {"converse": _converse, "converse_stream": _converse_stream}),
        "google": Check(
            "google-genai",
            _google,
            {
                "generate_content": lambda client: str(
                    client.models.generate_content(model="m", contents=QUESTION).text
                ),
                "generate_content_stream": lambda client: "".join(
                    chunk.text or "" for chunk in client.models.generate_content_stream(model="m", contents=QUESTION)
                ),
            },
        ),
        "litellm": Check(
            "litellm",
            _litellm,
            {
                "Router.completion": lambda router: _chosen(router.completion(**_CHAT)),
                "the same, streamed": lambda router: _joined(router.completion(**_CHAT, stream=True)),
            },
        ),
        "openai": Check(
            "openai",
            _openai,
            {
                "chat.completions.create": lambda client: _chosen(client.chat.completions.create(**_CHAT)),
                "the same, streamed": lambda client: _joined(client.chat.completions.create(**_CHAT, stream=True)),
                "responses.create": lambda client: str(client.responses.create(model="m", input=QUESTION).output_text),
            },
        ),
        "xai": Check("xai-sdk", _xai, {"chat.sample": _sample, "chat.stream": _sample_stream}),
    }


def _openai(server: LoopbackServer) -> AbstractContextManager[Any]:
    from openai import OpenAI

    return OpenAI(base_url=server.url, api_key="none", max_retries=0)


def _anthropic(server: LoopbackServer) -> AbstractContextManager[Any]:
    from anthropic import Anthropic

    return Anthropic(base_url=server.url.removesuffix("/v1"), api_key="none", max_retries=0)


def _google(server: LoopbackServer) -> AbstractContextManager[Any]:
    from google.genai import Client
    from google.genai.types import HttpOptions

    options = HttpOptions(base_url=server.url.removesuffix("/v1"))
    return closing(Client(api_key="none", vertexai=False, http_options=options))


def _bedrock(server: LoopbackServer) -> AbstractContextManager[Any]:
    import boto3
    from botocore.config import Config

    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")  # noqa: S106  # nosec B106 - no key
    client = session.client(
        "bedrock-runtime",
        endpoint_url=server.url.removesuffix("/v1"),
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    return closing(client)


def _litellm(server: LoopbackServer) -> AbstractContextManager[Any]:
    from litellm import Router

    model = {"model": "openai/m", "api_base": server.url, "api_key": "none"}
    return nullcontext(Router(model_list=[{"model_name": "m", "litellm_params": model}], num_retries=0))


@contextmanager
def _xai(server: LoopbackServer) -> Iterator[Any]:
    from xai_sdk import Client

    from .loopback.xai import serving

    with (
        serving(server) as address,
        closing(Client(api_key="none", api_host=address, use_insecure_channel=True)) as one,
    ):
        yield one


def _chosen(response: Any) -> str:
    return str(response.choices[0].message.content)


def _joined(chunks: Any) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def _message(client: Any) -> str:
    return str(client.messages.create(**_MESSAGES).content[0].text)


def _message_stream(client: Any) -> str:
    with client.messages.stream(**_MESSAGES) as stream:
        return str(stream.get_final_text())


def _converse(client: Any) -> str:
    return str(client.converse(**_CONVERSE)["output"]["message"]["content"][0]["text"])


def _converse_stream(client: Any) -> str:
    events = client.converse_stream(**_CONVERSE)["stream"]
    return "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)


def _sample(client: Any) -> str:
    from xai_sdk.chat import user

    return str(client.chat.create(model="m", messages=[user(QUESTION)]).sample().content)


def _sample_stream(client: Any) -> str:
    from xai_sdk.chat import user

    return "".join(chunk.content for _, chunk in client.chat.create(model="m", messages=[user(QUESTION)]).stream())
