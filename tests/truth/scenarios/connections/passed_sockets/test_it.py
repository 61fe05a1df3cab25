import array
import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

from peers import alpha, ask, gamma, udp

CHILD = """
import socket, sys
from test_it import give, take
from peers import ask, beta
channel = socket.socket(fileno=int(sys.argv[1]))
if sys.argv[2] == "takes":
    ask(take(channel), b"child")
else:
    give(channel, beta.connect())
"""


def give(channel, sock):
    channel.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))])


def take(channel):
    fds = array.array("i")
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(fds.itemsize))
    fds.frombytes(ancillary[0][2])
    return socket.socket(fileno=fds[0])


def child(channel, role):
    command = [sys.executable, "-c", CHILD, str(channel.fileno()), role]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]])
    return subprocess.Popen(command, pass_fds=[channel.fileno()], env={**os.environ, "PYTHONPATH": path})


def test_to_a_child():
    here, there = socket.socketpair()
    with here, there, child(there, "takes") as process, alpha.connect() as sock:
        ask(sock)
        give(here, sock)
    assert process.returncode == 0


def test_from_a_child():
    here, there = socket.socketpair()
    with here, there, child(there, "gives") as process, take(here) as sock:
        ask(sock)
    assert process.returncode == 0


def test_to_a_thread():
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def work():
        with take(there) as sock:
            ask(sock)

    thread = Thread(target=work)
    thread.start()
    with here, there:
        with gamma.connect() as sock:
            give(here, sock)
        thread.join()


def test_datagrams_to_a_child():
    here, there = socket.socketpair()
    with here, there, child(there, "takes") as process, udp.connect() as sock:
        give(here, sock)
    assert process.returncode == 0
