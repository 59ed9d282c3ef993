"""The middleware alone needs the langchain package."""

import subprocess
import sys

import memori_langchain
import pytest


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_history_works_without_langchain_and_the_middleware_says_what_to_install() -> None:
    done = python(
        "import sys\n"
        "sys.modules['langchain'] = None\n"
        "from memori_langchain import MemoriChatMessageHistory\n"
        "print(MemoriChatMessageHistory.__name__)\n"
        "try:\n"
        "    from memori_langchain import MemoriMiddleware\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )

    assert done.returncode == 0, done.stderr
    name, error = done.stdout.splitlines()
    assert name == "MemoriChatMessageHistory"
    assert error.startswith("MissingDependencyError MemoriMiddleware needs the langchain package")
    assert "pip install 'memori-langchain[agents]'" in error


def test_importing_the_package_does_not_import_langchain() -> None:
    done = python("import memori_langchain, sys; print('langchain' in sys.modules, 'langgraph' in sys.modules)")

    assert done.stdout == "False False\n", done.stderr


def test_a_failure_inside_langchain_is_not_taken_for_its_absence() -> None:
    done = python(
        "import sys\nsys.modules['langgraph.channels'] = None\nfrom memori_langchain import MemoriMiddleware\n"
    )

    assert "No module named 'langgraph.channels" in done.stderr
    assert "MissingDependencyError" not in done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = memori_langchain.Nothing


def test_every_public_name_is_there() -> None:
    assert all(hasattr(memori_langchain, name) for name in memori_langchain.__all__)
