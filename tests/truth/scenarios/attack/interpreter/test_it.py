import gc
import inspect
import resource
import sys

import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture
def traced():
    before = sys.gettrace(), sys.getprofile()

    def trace(frame, event, argument):
        return trace

    sys.settrace(trace)
    sys.setprofile(lambda *_: None)
    alpha.ask()
    yield
    sys.settrace(before[0])
    sys.setprofile(before[1])


def test_traced(traced):
    alpha.ask()


def test_no_collector():
    gc.disable()
    gc.freeze()
    beta.ask()
    gc.unfreeze()
    gc.enable()
    gc.collect()


def test_deep_recursion():
    def deeper():
        deeper()

    with pytest.raises(RecursionError):
        deeper()
    gamma.ask()


@pytest.fixture
def little_stack():
    gamma.ask()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 50)
    yield
    sys.setrecursionlimit(before)


def test_little_stack(little_stack):
    delta.ask()


def test_little_memory():
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (4 << 20), before[1]))
    with pytest.raises(MemoryError):
        bytearray(1 << 30)
    beta.ask()
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_standard_streams(monkeypatch):
    for name in ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"):
        monkeypatch.setattr(sys, name, None)
    delta.ask()


def test_after():
    alpha.ask()
