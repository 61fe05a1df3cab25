import os
import signal
import sys
import threading
import warnings

import pytest


def state():
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    descriptors = {}
    for number in range(512):
        try:
            descriptors[number] = os.fstat(number).st_ino
        except OSError:
            pass
    return {
        "descriptors": descriptors,
        "threads": threading.enumerate(),
        "tasks": os.listdir("/proc/self/task"),
        "environment": environment,
        "handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "path": list(sys.path),
        "filters": list(warnings.filters),
        "directory": os.getcwd(),
        "hooks": (sys.excepthook, sys.gettrace(), sys.getprofile(), threading.excepthook, sys.unraisablehook),
    }


@pytest.fixture(autouse=True)
def leaves_nothing():
    before = state()
    yield
    assert state() == before


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    before = state()["descriptors"]
    yield
    assert state()["descriptors"] == before
