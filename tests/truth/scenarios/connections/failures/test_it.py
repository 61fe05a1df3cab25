import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from peers import alpha, closed, missing, silent, stream, udp


def test_refused():
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            closed.connect()


def test_refused_without_blocking():
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(closed.address)
        select.select([], [sock], [])
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def test_timed_out():
    with pytest.raises(socket.timeout):
        silent.connect(timeout=0.01)


def test_timed_out_in_the_kernel():
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 10_000))
        with pytest.raises(BlockingIOError):  # EINPROGRESS: socket(7)
            sock.connect(silent.address)


def test_given_up_by_the_kernel():
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1)  # ms, after a first second (RFC 6298)
        with pytest.raises(OSError, match="timed out"):
            sock.connect(silent.address)


def test_missing():
    with pytest.raises(FileNotFoundError):
        missing.connect()
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(ConnectionRefusedError):
        sock.connect("\0truth-nobody")


def test_wrong_type():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, pytest.raises(OSError):
        sock.connect(stream.address)


def in_a_child(function):
    child = os.fork()
    if not child:
        try:
            function()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_forbidden():
    with tempfile.TemporaryDirectory(dir="/tmp") as private:

        def connect():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as sock, pytest.raises(PermissionError):
                sock.connect(str(Path(private, "socket")))
            os._exit(0)

        in_a_child(connect)


def in_an_empty_network(code):
    command = ["unshare", "--net", sys.executable, "-c", "import socket, sys\n" + code]
    subprocess.run([*command, alpha.address[0], str(alpha.address[1])], check=True)


def test_unreachable():
    in_an_empty_network("assert socket.socket().connect_ex(('192.0.2.77', 9)) == 101")


def test_in_vain_then_found():
    for peer in (closed, alpha):
        try:
            peer.ask()
        except ConnectionRefusedError:
            assert peer is closed


def test_datagrams_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.9", udp.address[1]))
        sock.send(b"ask")
        select.select([sock], [], [])  # until the refusal is there: the next call tells it
        with pytest.raises(ConnectionRefusedError):
            sock.send(b"again")


def test_without_a_peer():
    with socket.socket() as sock, pytest.raises(BrokenPipeError):
        sock.send(b"ask")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(OSError, match="required"):
        sock.send(b"ask")


def test_no_ports_left():
    in_an_empty_network(
        "import subprocess; subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)\n"
        "open('/proc/sys/net/ipv4/ip_local_port_range', 'w').write('40000 40000')\n"
        "sock = socket.socket(); sock.bind(('127.0.0.1', 40000))\n"
        "assert socket.socket().connect_ex((sys.argv[1], int(sys.argv[2]))) == 99"
    )
