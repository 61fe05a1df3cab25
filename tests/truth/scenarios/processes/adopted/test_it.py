import ctypes
import os
import subprocess
import sys
from pathlib import Path

from peers import alpha, ask, beta, delta, gamma

PR_SET_CHILD_SUBREAPER = 36


def adopt(whether):
    """Become the one that adopts the orphans among one's descendants, or no longer: prctl(2)."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, whether, 0, 0, 0) == 0


def in_an_orphan(function, *arguments):
    """Run a function in a grandchild whose parent is gone; returns what has adopted it when it is through."""
    is_orphan, orphan = os.pipe()
    answers, answer = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork():
            os._exit(0)
        os.close(orphan)
        os.close(answers)
        os.read(is_orphan, 1)
        try:
            function(*arguments)
            os.write(answer, str(os.getppid()).encode())
        finally:
            os._exit(0)
    os.waitpid(parent, 0)
    os.close(orphan)
    os.close(is_orphan)
    os.close(answer)
    with os.fdopen(answers) as pipe:
        return int(pipe.read())


def test_by_init():
    assert in_an_orphan(alpha.ask) != os.getpid()


def test_by_pytest():
    adopt(True)
    assert in_an_orphan(beta.ask) == os.getpid()
    os.wait()
    adopt(False)


def helper():
    adopt(True)
    assert in_an_orphan(gamma.ask) == os.getpid()


def test_by_a_helper():
    program = [sys.executable, "-c", "import test_it; test_it.helper()"]
    subprocess.run(program, cwd=str(Path(__file__).parent), check=True)


def test_with_a_connection():
    with delta.connect() as sock:
        in_an_orphan(ask, sock)


def test_without():
    pass
