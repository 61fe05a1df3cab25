import os

from peers import delta


def test_it():
    assert os.getpid() == 1
    delta.ask()
