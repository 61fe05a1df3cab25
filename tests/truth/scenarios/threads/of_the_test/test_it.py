from threading import Event, Thread, Timer

import pytest
from peers import alpha, ask, beta, gamma


def run(function, *args):
    thread = Thread(target=function, args=args)
    thread.start()
    thread.join()


@pytest.fixture
def ask_beta():
    """Its thread is there from the set-up on, and says nothing until the test wants it to."""
    wanted = Event()
    thread = Thread(target=lambda: wanted.wait() and beta.ask())
    thread.start()

    def ask_now():
        wanted.set()
        thread.join()

    return ask_now


@pytest.fixture
def ask_gamma_at_last():
    wanted = Event()
    thread = Thread(target=lambda: wanted.wait() and gamma.ask())
    yield thread
    wanted.set()
    thread.join()


def test_starts_and_joins():
    run(alpha.ask)


def test_of_its_set_up(ask_beta):
    ask_beta()


def test_joined_in_the_teardown(ask_gamma_at_last):
    ask_gamma_at_last.start()


def test_timer():
    timer = Timer(0, alpha.ask)
    timer.start()
    timer.join()


def test_on_an_older_connection(pytestconfig):
    run(ask, pytestconfig.delta)


def test_of_a_thread():
    run(run, alpha.ask)
    run(alpha.ask)
