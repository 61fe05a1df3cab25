import os

from peers import gamma


def test_it():
    assert os.getpid() == 1
    gamma.ask()
