import signal
import socket

import pytest
from peers import alpha, beta, delta, gamma


@pytest.fixture(params=[signal.SIG_DFL, signal.SIG_IGN, lambda *_: 1 / 0], ids=["default", "ignored", "handler"])
def pipe(request):
    before = signal.signal(signal.SIGPIPE, request.param)
    alpha.ask()
    yield
    signal.signal(signal.SIGPIPE, before)


def test_pipe(pipe):
    beta.ask()


@pytest.fixture
def storm():
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    for _ in range(20):
        gamma.ask()
    yield
    for _ in range(20):
        gamma.ask()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_storm(storm):
    for _ in range(20):
        gamma.ask()


@pytest.fixture
def all_blocked():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    delta.ask()
    yield
    after = signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert after == signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def test_all_blocked(all_blocked):
    delta.ask()


def test_wakeup_descriptor():
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        before = signal.set_wakeup_fd(left.fileno())
        beta.ask()
        assert signal.set_wakeup_fd(before) == left.fileno()
        with pytest.raises(BlockingIOError):
            right.recv(1)


def test_after():
    alpha.ask()
