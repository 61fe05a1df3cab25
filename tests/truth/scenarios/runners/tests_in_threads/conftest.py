import threading

import pytest
from _pytest.runner import SetupState
from peers import stream

first_is_done = threading.Event()


class SetupStates(threading.local):
    """pytest's state of what is set up, one a thread."""

    def __init__(self):
        self.own = SetupState()

    def __getattr__(self, name):
        return getattr(self.own, name)


def pytest_runtestloop(session):
    """Run each test in a thread of its own, all at once."""
    session._setupstate = SetupStates()
    protocol = session.config.hook.pytest_runtest_protocol
    threads = [threading.Thread(target=protocol, kwargs={"item": item, "nextitem": None}) for item in session.items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stream.ask()
    return True


def pytest_runtest_logfinish(nodeid):
    if nodeid.endswith("::test_first"):
        first_is_done.set()


@pytest.fixture
def wait_for_the_first():
    return first_is_done.wait
