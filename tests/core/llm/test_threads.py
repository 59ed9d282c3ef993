"""What is remembered of a conversation that a provider keeps is one speaker's, and does not stay for ever."""

from memori.llm.threads import Thread, Threads

from tests.core.llm.memories import ADA, BOB


def test_a_thread_is_its_speakers_in_whatever_session():
    threads = Threads()
    threads.put(ADA, "resp_1", Thread("s", "block"))

    assert threads.get(ADA.with_session("other"), "resp_1") == Thread("s", "block")
    assert threads.get(BOB, "resp_1") is None


def test_the_oldest_thread_goes_first():
    threads = Threads(size=2)
    for number in range(3):
        threads.put(ADA, f"resp_{number}", Thread(f"s{number}", ""))

    assert [threads.get(ADA, f"resp_{number}") is None for number in range(3)] == [True, False, False]


def test_a_block_expires_and_its_session_stays():
    threads = Threads(seconds=0.0)
    threads.put(ADA, "resp_1", Thread("s", "block"))

    assert threads.get(ADA, "resp_1") == Thread("s", "")
