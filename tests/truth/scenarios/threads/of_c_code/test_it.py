import time
from threading import Event

from c_thread import CThread
from peers import alpha, ask, beta

connected = Event()
due = []


def poll():
    with beta.connect() as sock:
        connected.set()
        while not due:
            time.sleep(0.001)
        ask(sock)


def test_joins_it():
    CThread(lambda: alpha.ask() and None).join()


def test_leaks_one():
    test_leaks_one.thread = CThread(poll)
    assert connected.wait(30)


def test_is_disturbed():
    due.append(True)
    test_leaks_one.thread.join()
