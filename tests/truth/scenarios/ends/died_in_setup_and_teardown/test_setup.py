import os
import signal

import pytest
from peers import alpha


@pytest.fixture
def dies():
    alpha.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def test_it(dies):
    pass
