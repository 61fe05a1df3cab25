import os

import pytest
from peers import alpha, beta, gamma

ten_times = pytest.mark.parametrize("number", range(10))


@ten_times
def test_alpha(number):
    alpha.ask()


@ten_times
def test_beta(number):
    beta.ask()
    pid = os.fork()
    if pid == 0:
        try:
            gamma.ask()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


@ten_times
def test_without(number):
    pass
