import os
import resource

import pytest
from peers import alpha, beta

HELD = []


def test_exhausts():
    alpha.ask()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with pytest.raises(OSError):
        while True:
            HELD.append(os.open(os.devnull, os.O_RDONLY))
    os.close(HELD.pop())  # for whoever has to write how this went


def test_still_exhausted():
    assert HELD


def test_gives_back():
    while HELD:
        os.close(HELD.pop())
    beta.ask()
