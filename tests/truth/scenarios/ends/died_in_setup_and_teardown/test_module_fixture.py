import os
import signal

import pytest
from peers import alpha


@pytest.fixture(scope="module")
def dies():
    alpha.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def test_it(dies):
    pass
