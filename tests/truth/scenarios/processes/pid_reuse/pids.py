import os
from pathlib import Path

PID = 4321


def fork():
    """Like os.fork, but the child's pid is PID."""
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(PID - 1))
    pid = os.fork()
    assert PID == (pid or os.getpid())
    return pid


def in_a_child(function):
    pid = fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
