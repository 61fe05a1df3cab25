import os
import signal

os.kill(os.getpid(), signal.SIGKILL)


def test_it():
    pass
