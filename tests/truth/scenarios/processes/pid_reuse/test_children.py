import os

from peers import alpha, beta
from pids import in_a_child


def test_first():
    in_a_child(alpha.ask)


def test_daemon():
    def leave():
        if os.fork() == 0:
            alpha.ask()
            os._exit(0)
        os.wait()

    in_a_child(leave)


def test_same_pid():
    in_a_child(beta.ask)
    in_a_child(beta.ask)


def test_none():
    in_a_child(int)
