import os
import socket
from contextlib import contextmanager
from pathlib import Path

from peers import ask, errand


@contextmanager
def child():
    gate, key = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(key)
        os.read(gate, 1)  # until the parent closes its end
        os._exit(0)
    os.close(gate)
    try:
        yield pid
    finally:
        os.close(key)
        os.waitpid(pid, 0)


def test_it():
    asked = False
    while not asked:  # another process of the machine may have been given the pid
        listener, name = errand("take_over").split()
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(int(listener) - 1))
        with child() as pid:
            if pid == int(listener):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect("\0" + name)
                    ask(sock)
                asked = True
