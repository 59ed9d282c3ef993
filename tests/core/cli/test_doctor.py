"""`memori doctor`: what is installed is tried for real, and what does not work is said."""

import json
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError

import pytest
from memori.cli import doctor
from memori.cli.app import build
from openai import OpenAI
from typer.testing import CliRunner


@pytest.fixture
def without_litellm(monkeypatch):
    """It takes long to import, and leaves connections open."""
    real = doctor.version

    def version(distribution):
        if distribution == "litellm":
            raise PackageNotFoundError(distribution)
        return real(distribution)

    monkeypatch.setattr(doctor, "version", version)


def run(*arguments):
    return CliRunner().invoke(build(), ["doctor", *arguments])


def test_every_installed_sdk_is_heard_answered_and_stored(without_litellm):
    result = run("--json")

    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert {one["adapter"] for one in found} == {"anthropic", "bedrock", "google", "litellm", "openai", "xai"}
    assert [one for one in found if one["problem"]] == [
        {
            "adapter": "litellm",
            "distribution": "litellm",
            "version": None,
            "call": "",
            "problem": "not installed: pip install 'memori-core[litellm]'",
        }
    ]


@pytest.mark.parametrize(
    ("client", "ask", "problem"),
    [
        (lambda server: nullcontext(object()), None, "No LLM adapter recognises a builtins.object"),
        (lambda server: OpenAI(base_url=server.url, api_key="none"), lambda client: "Hm.", "the answer is 'Hm.'"),
        (
            lambda server: OpenAI(base_url=server.url, api_key="none"),
            lambda client: doctor.ANSWER,
            "answered without what is known",
        ),
    ],
    ids=["unknown", "wrong", "unheard"],
)
def test_what_does_not_work_is_said_and_is_the_exit_status(monkeypatch, client, ask, problem):
    monkeypatch.setattr(doctor, "_checks", lambda: {"openai": doctor.Check("openai", client, {"ask": ask})})

    result = run()

    assert result.exit_code == 1
    assert problem in " ".join(result.stdout.split())
