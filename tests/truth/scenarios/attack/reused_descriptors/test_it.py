import os

import pytest
from peers import alpha, beta, gamma

PIPES = []


def test_takes_all_numbers():
    os.closerange(3, 65536)
    PIPES.extend(os.pipe() for _ in range(300))
    alpha.ask()


def test_between():
    beta.ask()


def test_they_are_empty():
    gamma.ask()
    for read, write in PIPES:
        os.set_blocking(read, False)
        with pytest.raises(BlockingIOError):
            os.read(read, 1)
        os.close(read)
        os.close(write)
