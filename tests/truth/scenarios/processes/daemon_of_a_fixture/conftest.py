import os

import pytest
from daemon import Daemon

running = []


@pytest.fixture(scope="session")
def daemon():
    running.append(Daemon(listens_at=f"\0truth-inner-{os.getpid()}"))
    running[0].ask("alpha")
    yield running[0]
    running[0].ask("alpha")
    running[0].stop()


@pytest.fixture(scope="session")
def shop(daemon):
    daemon.ask("alpha")
    return daemon
