import ctypes
import os
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def enter_a_new_network():
    assert libc.unshare(CLONE_NEWNET) == 0
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def join_network(process):
    with Path(f"/proc/{process}/ns/net").open() as network:
        assert libc.setns(network.fileno(), CLONE_NEWNET) == 0


def serve(peer):
    """Answer one client at a peer's address."""
    listener = socket.socket(peer.family, peer.type)
    listener.bind(peer.address)
    listener.listen()

    def answer():
        with listener, listener.accept()[0] as client:
            while data := client.recv(100):
                client.sendall(data)

    Thread(target=answer, daemon=True).start()


@contextmanager
def child(function):
    """A process that calls a function, then stays until the end of this; gives its pid when it has."""
    has_called, called = os.pipe()
    may_end, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        os.close(has_called)
        try:
            function()
            os.write(called, b".")
            os.read(may_end, 1)
        finally:
            os._exit(0)
    os.close(called)
    os.close(may_end)
    assert os.read(has_called, 1)
    yield pid
    os.close(end)
    os.close(has_called)
    os.waitpid(pid, 0)
