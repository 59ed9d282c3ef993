"""One-line capture with a real Memori, a real database and real clients."""

import asyncio
import copy
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from memori import Attribution, Memori
from sqlalchemy import create_engine, text

from tests.loopback import LoopbackServer, openai

ADA = Attribution("ada")
BOB = Attribution("bob")


@pytest.fixture
def memori(tmp_path):
    with Memori(f"sqlite:///{tmp_path}/memory.db", embedder="hashing", extractor="none") as memori:
        yield memori


def ask(client, content, history=(), **more):
    messages = [*history, {"role": "user", "content": content}]
    return client.chat.completions.create(model="m", messages=messages, **more)


def stored(memori, who=None):
    return [one.message.content for one in memori.messages(attribution=who)]


def test_three_lines_are_enough(memori, client, server):
    memori.llm.register(client).attribution("ada", "support-bot")
    server.say("Noted.")

    ask(client, "My favourite colour is teal.")
    assert memori.augmentation.wait(30)
    ask(client, "What is my favourite colour?")

    assert stored(memori) == [
        "My favourite colour is teal.",
        "Noted.",
        "What is my favourite colour?",
        "Understood.",
    ]
    sent = server.last.messages[0]["content"]
    assert sent.startswith("<memori_context>")
    assert "My favourite colour is teal" in sent
    assert sent.endswith("</memori_context>\n\nWhat is my favourite colour?")


def test_one_user_never_sees_another(memori, client, server):
    memori.llm.register(client)
    memori.attribution("ada")
    ask(client, "My favourite colour is teal.")
    assert memori.augmentation.wait(30)
    memori.attribution("bob")
    ask(client, "What is my favourite colour?")

    assert server.last.messages == [{"role": "user", "content": "What is my favourite colour?"}]
    assert stored(memori, ADA) == ["My favourite colour is teal.", "Understood."]
    assert stored(memori, BOB) == ["What is my favourite colour?", "Understood."]


def test_a_resent_history_is_stored_once(memori, client, server):
    memori.llm.register(client).attribution("ada")
    history = []

    for turn in range(3):
        server.say(f"answer {turn}")
        question = {"role": "user", "content": f"question {turn}"}
        history.append(question)
        answer = client.chat.completions.create(model="m", messages=history)
        history.append(answer.choices[0].message)

    assert stored(memori) == [f"{kind} {turn}" for turn in range(3) for kind in ("question", "answer")]


def test_the_callers_list_is_never_changed(memori, client):
    memori.llm.register(client).attribution("ada")
    memori.remember("Ada likes tea.")
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "What does Ada like?"}]},
    ]
    before = copy.deepcopy(messages)

    for _ in range(4):
        client.chat.completions.create(model="m", messages=messages)

    assert messages == before


def test_a_session_set_between_calls_is_honoured(memori, client):
    memori.llm.register(client).attribution("ada")
    ask(client, "before")
    memori.set_session("second")
    ask(client, "after")

    sessions = {one.message.content: one.session_id for one in memori.messages(attribution=ADA)}
    assert sessions["after"] == "second"
    assert sessions["before"] != "second"


def test_two_memories_with_databases_of_their_own_both_capture(memori, client, tmp_path):
    with Memori(f"sqlite:///{tmp_path}/other.db", embedder="hashing", extractor="none") as other:
        memori.llm.register(client).attribution("ada")
        other.llm.register(client).attribution("grace")

        ask(client, "hello")

        assert stored(memori, ADA) == stored(other, Attribution("grace")) == ["hello", "Understood."]
        assert stored(memori, Attribution("grace")) == stored(other, ADA) == []


def test_an_entity_called_1_is_nobody_else(memori, client, server):
    memori.llm.register(client)
    for name in ("ada", "1"):
        memori.attribution(name)
        ask(client, f"I am {name}.")
    assert memori.augmentation.wait(30)

    ask(client, "Who am I?")

    assert "I am ada" not in str(server.last.messages)
    assert stored(memori, Attribution("1"))[0] == "I am 1."


@pytest.mark.parametrize("stream", ["read", "closed", "dropped"])
def test_streams_are_stored_however_they_end(memori, client, server, stream):
    memori.llm.register(client).attribution("ada")
    server.say("one two three")
    chunks = ask(client, "count", stream=True)

    if stream == "read":
        list(chunks)
    else:
        for _ in range(2):
            next(chunks)
        chunks.close()
    del chunks

    assert stored(memori) == ["count", "one two three" if stream == "read" else "one"]
    assert memori.messages()[-1].message.partial is (stream != "read")


async def test_async_calls_and_streams_are_stored(memori, async_client, server):
    memori.llm.register(async_client).attribution("ada")
    server.say("first", "second one")

    await ask(async_client, "call")
    assert [chunk async for chunk in await ask(async_client, "stream", stream=True)]

    assert await asyncio.to_thread(stored, memori) == ["call", "first", "stream", "second one"]


async def test_gathered_users_each_keep_their_own(memori, async_client):
    memori.llm.register(async_client)

    async def talk(name):
        with memori.scope(name):
            for turn in range(3):
                await ask(async_client, f"{name} {turn}")

    await asyncio.gather(*(talk(f"user-{number}") for number in range(8)))

    for number in range(8):
        said = [one.message for one in await memori.amessages(attribution=Attribution(f"user-{number}"))]
        assert [m.content for m in said if m.role == "user"] == [f"user-{number} {turn}" for turn in range(3)]


def test_eight_threads_each_keep_their_own(memori, client):
    memori.llm.register(client)
    barrier = threading.Barrier(8)

    def talk(number):
        memori.attribution(f"user-{number}")
        barrier.wait()
        for turn in range(3):
            ask(client, f"user-{number} {turn}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(talk, range(8)))

    for number in range(8):
        said = [one.message for one in memori.messages(attribution=Attribution(f"user-{number}"))]
        assert [m.content for m in said if m.role == "user"] == [f"user-{number} {turn}" for turn in range(3)]


def test_a_reused_thread_carries_no_identity_over(memori, client, server):
    request = threading.local()
    memori.llm.register(client, attribution=lambda: getattr(request, "who", None))

    def handle(who):
        request.who = who
        ask(client, "hello")
        request.who = None

    with ThreadPoolExecutor(1) as pool:
        for who in (ADA, None, BOB):
            pool.submit(handle, who).result()

    assert stored(memori, ADA) == stored(memori, BOB) == ["hello", "Understood."]
    assert len(server.calls) == 3


def test_a_failing_database_is_not_felt(client, server, tmp_path):
    with Memori(f"sqlite:///{tmp_path}/no/such/directory/memory.db", embedder="hashing") as memori:
        memori.llm.register(client).attribution("ada")

        assert ask(client, "hello").choices[0].message.content == "Understood."
        assert len(list(ask(client, "hello", stream=True))) == 3


def test_what_is_stored_never_holds_what_was_injected(memori, client, server, tmp_path):
    memori.llm.register(client).attribution("ada")
    memori.remember("Ada likes tea.")
    history = []
    for _ in range(3):
        ask(client, "What does Ada like?", history)
        assert "<memori_context>" in server.last.messages[-1]["content"]
        history = [*server.last.messages, {"role": "assistant", "content": "Understood."}]
    assert memori.augmentation.wait(30)

    assert stored(memori) == ["What does Ada like?", "Understood."] * 3
    engine = create_engine(f"sqlite:///{tmp_path}/memory.db")
    with engine.connect() as connection:
        dump = [str(row) for row in connection.execute(text("select * from memori_conversation_message"))]
        dump += [str(row) for row in connection.execute(text("select * from memori_entity_fact"))]
    engine.dispose()
    assert dump
    assert not [row for row in dump if "memori_context" in row]


SETUP = """
import sys

from memori import Memori
from openai import OpenAI

URL, DATABASE = sys.argv[1:]
client = OpenAI(base_url=URL, api_key="none", max_retries=0)
memori = Memori(DATABASE, embedder="hashing", extractor="none")
memori.llm.register(client).attribution("ada")

def ask(text, **more):
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(model="m", messages=messages, **more)
"""


def script(body, url, database, timeout=60):
    """Run a script in a process of its own."""
    source = SETUP + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", source, url, database], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_forked_web_worker_serves_calls(server, tmp_path):
    database = f"sqlite:///{tmp_path}/memory.db"
    server.say("Understood.", "one two three")
    body = """
    import os, signal
    ask("parent before")
    half = ask("parent's stream", stream=True)
    next(half)
    next(half)
    assert memori.augmentation.wait(30)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            ask("child")
            memori.attribution("bob")
            list(ask("child of bob", stream=True))
            del half
            memori.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    list(half)
    ask("parent after")
    memori.close()
    """
    script(body, server.url, database)

    with Memori(database, embedder="hashing", extractor="none") as memori:
        said = [one.message for one in memori.messages(attribution=ADA)]
        asked = sorted(message.content for message in said if message.role == "user")
        assert asked == ["child", "parent after", "parent before", "parent's stream"]
        assert [message.content for message in said if message.content.startswith("one")] == ["one two three"]
        assert stored(memori, BOB) == ["child of bob", "Understood."]


@pytest.mark.parametrize("open_at_exit", [True, False])
def test_a_script_that_just_ends_loses_nothing(server, tmp_path, open_at_exit):
    database = f"sqlite:///{tmp_path}/memory.db"
    server.say("one two three")
    body = """
    chunks = ask("count", stream=True)
    next(chunks)
    next(chunks)
    """
    end = """
    del chunks
    """
    done = script(body + ("" if open_at_exit else end), server.url, database)

    assert "Traceback" not in done.stderr
    with Memori(database, embedder="hashing", extractor="none") as memori:
        assert stored(memori, ADA) == ["count", "one"]


CELLS = [
    "from memori import Memori\nfrom openai import AsyncOpenAI, OpenAI",
    "memori = Memori({database!r}, embedder='hashing', extractor='none')\n"
    "client = OpenAI(base_url={url!r}, api_key='none')\nawaited = AsyncOpenAI(base_url={url!r}, api_key='none')\n"
    "memori.llm.register(client)\nmemori.llm.register(awaited)\nmemori.attribution('ada')",
    "client.chat.completions.create(model='m', messages=[{{'role': 'user', 'content': 'plain cell'}}]);",
    "await awaited.chat.completions.create(model='m', messages=[{{'role': 'user', 'content': 'async cell'}}]);",
    "import asyncio\nasync def talk():\n"
    "    return await awaited.chat.completions.create(\n"
    "        model='m', messages=[{{'role': 'user', 'content': 'task'}}])\n"
    "await asyncio.gather(talk());",
    "await awaited.close()\nclient.close()\nmemori.close()",
]


@pytest.mark.filterwarnings("default")
def test_a_notebook_has_one_user_in_all_its_cells(server: LoopbackServer, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    database = f"sqlite:///{tmp_path}/memory.db"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell.format(url=server.url, database=database)) for cell in CELLS]
    )

    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()

    with Memori(database, embedder="hashing", extractor="none") as memori:
        said = [one.message.content for one in memori.messages(attribution=ADA) if one.message.role == "user"]
    assert said == ["plain cell", "async cell", "task"]


def test_an_unregistered_client_is_nobodys(memori, server):
    with openai(server) as client:
        memori.llm.register(client).attribution("ada")
        memori.llm.unregister(client)
        ask(client, "hello")

    assert stored(memori) == []
