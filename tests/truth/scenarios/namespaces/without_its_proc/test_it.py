import os
from pathlib import Path

from peers import alpha, gamma


def test_itself():
    assert os.getpid() == 1 != int(Path("/proc/self").resolve().name)
    alpha.ask()


def test_child():
    pid = os.fork()
    if pid == 0:
        try:
            gamma.ask()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
