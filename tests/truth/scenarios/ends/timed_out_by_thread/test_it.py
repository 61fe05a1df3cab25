import threading

from peers import alpha, beta


def test_before():
    beta.ask()


def test_it():
    alpha.ask()
    (timer,) = (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer))
    timer.function(*timer.args, **timer.kwargs)  # the hour is over


def test_after():
    beta.ask()
