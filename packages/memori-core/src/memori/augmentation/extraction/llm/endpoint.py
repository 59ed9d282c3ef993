"""A chat model behind an OpenAI-compatible address: Ollama, vLLM, llama.cpp, or a hosted one. Needs no SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from ....errors import ConfigurationError, ExtractionError
from ....model import Message
from ....structured import StructuredReply

_PASSING = frozenset({408, 409, 429, 500, 502, 503, 504})
_LARGEST = 4_000_000


class _PassingError(ExtractionError):
    """The server could not answer now."""


class Endpoint:
    """Asks `POST {base_url}/chat/completions`. `timeout` is in seconds; a passing failure is tried once more.

    Raises `ConfigurationError` for an address that is none, and `ExtractionError` without the key in it.
    """

    def __init__(self, base_url: str, model: str, *, api_key: str | None = None, timeout: float = 60.0) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                "llm_base_url must be an http or https address, such as http://localhost:11434/v1."
            )
        if not model:
            raise ConfigurationError("Name the model to ask: Memori(extractor='llm:NAME'), or MEMORI_LLM_MODEL.")
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._model = model
        self._key = api_key
        self._timeout = timeout
        self._where = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    def __repr__(self) -> str:
        return f"Endpoint({self._where!r}, {self._model!r})"

    def __call__(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> StructuredReply:
        """Ask for JSON of the schema."""
        body = {
            "model": self._model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "memory", "schema": schema, "strict": True},
            },
        }
        for attempt in Retrying(
            retry=retry_if_exception_type(_PassingError),
            stop=stop_after_attempt(2),
            wait=wait_exponential_jitter(initial=0.2, max=2.0),
            reraise=True,
        ):
            with attempt:
                return _reply(self._post(json.dumps(body).encode()))
        raise AssertionError("unreachable: the last attempt raises")

    def _post(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310 - the scheme was checked
        try:
            with urlopen(request, timeout=self._timeout) as response:  # noqa: S310 # nosec B310 - the scheme was checked
                return json.loads(response.read(_LARGEST))
        except HTTPError as error:
            kind = _PassingError if error.code in _PASSING else ExtractionError
            hints = {401: "check MEMORI_LLM_API_KEY", 403: "check MEMORI_LLM_API_KEY", 404: "check the model's name"}
            hint = f"; {hints[error.code]}" if error.code in hints else ""
            error.close()
            raise kind(f"{self._where} answered with status {error.code} to {self._model!r}{hint}") from None
        except (OSError, HTTPException) as error:
            raise _PassingError(f"{self._where} cannot be reached: {type(error).__name__}") from None
        except ValueError:
            raise ExtractionError(f"{self._where} answered with something that is no JSON") from None


def _reply(body: Any) -> StructuredReply:
    try:
        content = body["choices"][0]["message"]["content"]
        usage = body.get("usage") or {}
        return StructuredReply(
            content or "",
            model=str(body.get("model") or ""),
            input_tokens=int(usage.get("prompt_tokens") or 0),
            output_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        raise ExtractionError("the server's answer is no chat completion") from None
