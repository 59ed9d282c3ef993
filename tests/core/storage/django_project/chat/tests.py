import json
import threading
import urllib.parse
import urllib.request

from django.db import connection
from django.test import LiveServerTestCase, TestCase, TransactionTestCase
from memori import Attribution

from .memory import memori
from .models import Line

ADA = Attribution("ada")


class OneTransaction(TestCase):
    """Every test is a transaction that is rolled back: waiting does the work, and nothing is left for the next."""

    def setUp(self):
        assert memori.messages(attribution=ADA) == []
        assert memori.facts(attribution=ADA, kinds=["episode"]) == []

    def test_what_is_said_is_recalled(self):
        answer = self.client.post("/say/", {"who": "ada", "text": "I drink oolong tea"})
        assert answer.json() == {"stored": 1}
        assert memori.augmentation.wait(30)
        found = self.client.get("/recall/", {"who": "ada", "query": "oolong"})
        assert found.json() == {"found": ["I drink oolong tea"]}

    def test_the_next_test_begins_with_nothing(self):
        self.client.post("/say/", {"who": "ada", "text": "I drink oolong tea"})

    def test_a_request_that_fails_takes_its_memory_with_it(self):
        self.client.raise_request_exception = False
        answer = self.client.post("/say/", {"who": "ada", "text": "never said", "fail": "yes"})
        assert answer.status_code == 500
        assert memori.messages(attribution=ADA) == []
        assert not Line.objects.exists()

    async def test_the_same_in_an_asynchronous_view(self):
        answer = await self.async_client.post("/asay/", {"who": "ada", "text": "I drink oolong tea"})
        assert answer.json() == {"stored": 1}
        found = await self.async_client.get("/arecall/", {"who": "ada", "query": "oolong"})
        assert found.json() == {"found": ["I drink oolong tea"]}


class Committed(TransactionTestCase):
    """Requests commit, and the worker does its work beside them."""

    def test_the_worker_sees_what_a_request_committed(self):
        self.client.post("/say/", {"who": "bob", "text": "I moved to Berlin"})
        assert memori.augmentation.wait(30)
        found = self.client.get("/recall/", {"who": "bob", "query": "Berlin"})
        assert found.json() == {"found": ["I moved to Berlin"]}

    def test_a_request_that_fails_takes_its_memory_with_it(self):
        self.client.raise_request_exception = False
        self.client.post("/say/", {"who": "carol", "text": "never said", "fail": "yes"})
        assert memori.messages(attribution=Attribution("carol")) == []
        assert memori.augmentation.wait(30)


class Served(LiveServerTestCase):
    """A server with a thread for each request, and eight people at once."""

    def test_eight_people_speak_at_once(self):
        failed = []

        def speak(number):
            try:
                for turn in range(3):
                    self.post("/say/", who=f"user-{number}", text=f"{number} says {turn}")
            except Exception as error:  # noqa: BLE001 - reported below
                failed.append(error)

        threads = [threading.Thread(target=speak, args=(number,)) for number in range(8)]
        if connection.vendor == "sqlite":
            # Its test database is in memory, and has one connection for all.
            for thread in threads:
                thread.start()
                thread.join()
        else:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert failed == []
        assert memori.augmentation.wait(60)
        for number in range(8):
            stored = memori.messages(attribution=Attribution(f"user-{number}"))
            assert [one.message.content for one in stored] == [f"{number} says {turn}" for turn in range(3)]

    def post(self, path, **fields):
        data = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(f"{self.live_server_url}{path}", data=data, timeout=30) as answer:
            return json.load(answer)
