import ctypes
import faulthandler
import os
import resource
import signal
import threading

import pytest
from peers import alpha, beta, gamma


@pytest.fixture(scope="module", autouse=True)
def no_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def test_before():
    beta.ask()


def test_killed():
    alpha.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def test_terminated():
    alpha.ask()
    os.kill(os.getpid(), signal.SIGTERM)


def test_killed_by_its_child():
    alpha.ask()
    child = os.fork()
    if child == 0:
        gamma.ask()
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(0)
    os.waitpid(child, 0)
    signal.pause()


def test_segfault():
    assert faulthandler.is_enabled()
    alpha.ask()
    ctypes.string_at(0)


def test_abort():
    alpha.ask()
    os.abort()


def test_stack():
    alpha.ask()
    faulthandler._stack_overflow()


def test_left():
    alpha.ask()
    os._exit(77)


def test_left_from_a_thread():
    def leave():
        alpha.ask()
        os._exit(77)

    threading.Thread(target=leave).start()
    signal.pause()


def test_after():
    beta.ask()
