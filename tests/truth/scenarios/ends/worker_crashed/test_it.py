import os
import signal

from peers import beta, gamma


def test_before(wide):
    beta.ask()


def test_crashes(wide):
    gamma.ask()
    os.kill(os.getpid(), signal.SIGKILL)


def test_after(wide):
    beta.ask()
