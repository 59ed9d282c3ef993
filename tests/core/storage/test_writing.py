"""Threads that write to one SQLite file take turns, in the order they came."""

import os
import threading
import time

from memori.storage.sql import writing


def test_first_come_first_served(tmp_path):
    file, order, threads = str(tmp_path / "memory.db"), [], []

    def write(number):
        with writing.in_line(file, 10):
            order.append(number)

    with writing.in_line(file, 10):
        for number in range(20):
            threads.append(threading.Thread(target=write, args=(number,)))
            threads[-1].start()
            while len(writing._lines[file]._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()

    assert order == list(range(20))


def test_who_waits_too_long_goes_on_without_a_turn_and_holds_up_nobody(tmp_path):
    file, came = str(tmp_path / "memory.db"), []

    def impatient():
        with writing.in_line(file, 0.01):
            came.append("impatient")

    with writing.in_line(file, 10):
        thread = threading.Thread(target=impatient)
        thread.start()
        thread.join()
    with writing.in_line(file, 10):
        came.append("next")

    assert came == ["impatient", "next"]


def test_files_do_not_wait_for_each_other(tmp_path):
    with writing.in_line(str(tmp_path / "one.db"), 10), writing.in_line(str(tmp_path / "other.db"), 0):
        assert writing._lines[str(tmp_path / "other.db")]._busy


def test_a_turn_is_given_back_by_one_that_fails(tmp_path):
    file = str(tmp_path / "memory.db")
    try:
        with writing.in_line(file, 10):
            raise RuntimeError("disk full")
    except RuntimeError:
        pass

    assert not writing._lines[file]._busy


def test_a_forked_child_does_not_wait_for_its_parents_threads(tmp_path):
    file = str(tmp_path / "memory.db")
    with writing.in_line(file, 10):
        child = os.fork()
        if child == 0:
            with writing.in_line(file, 0):
                os._exit(0 if writing._lines[file]._busy else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
