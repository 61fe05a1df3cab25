import ctypes
import os
import socket
import subprocess
import tempfile

import pytest
from peers import alpha, packets, stream

libc = ctypes.CDLL(None, use_errno=True)
ZEROCOPY = 60, 0x4000000  # SO_ZEROCOPY, MSG_ZEROCOPY: linux/socket.h


def send(sock):
    sock.send(b"foobar")


def write(sock):
    os.write(sock.fileno(), b"foobar")


def writev(sock):
    os.writev(sock.fileno(), [b"foo", b"bar"])


def sendmsg(sock):
    sock.sendmsg([b"f", b"oob", b"ar"])


def sendto_nobody(sock):
    assert libc.send(sock.fileno(), b"foobar", 6, 0) == 6


def sendfile(sock):
    with tempfile.TemporaryFile() as file:
        file.write(b"foobar")
        file.flush()
        assert os.sendfile(sock.fileno(), file.fileno(), 0, 6) == 6


def socket_sendfile(sock):
    with tempfile.TemporaryFile() as file:
        file.write(b"foobar")
        file.seek(0)
        sock.sendfile(file)


def splice(sock):
    out, into = os.pipe()
    os.write(into, b"foobar")
    assert libc.splice(out, None, sock.fileno(), None, ctypes.c_size_t(6), 0) == 6
    os.close(out)
    os.close(into)


def zero_copy(sock):
    sock.setsockopt(socket.SOL_SOCKET, ZEROCOPY[0], 1)
    assert sock.send(b"foobar", ZEROCOPY[1]) == 6


def answer(sock):
    data = b""
    while len(data) < 6:
        data += sock.recv(6)
    return data


WAYS = [send, write, writev, sendmsg, sendto_nobody, sendfile, socket_sendfile, splice, zero_copy]


@pytest.mark.parametrize("way", WAYS)
def test_way(way):
    with alpha.connect() as sock:
        way(sock)
        assert answer(sock) == b"foobar"


def test_corked():
    with alpha.connect() as sock:
        sock.send(b"foo", socket.MSG_MORE)
        sock.send(b"bar")
        assert answer(sock) == b"foobar"


def test_unix_file():
    with stream.connect() as sock:
        for way in (sendfile, splice):
            way(sock)
            assert answer(sock) == b"foobar"


def test_urgent():
    with alpha.connect() as sock:
        sock.send(b"!", socket.MSG_OOB)


def test_records():
    with packets.connect() as sock:
        sock.send(b"foo")
        sock.sendmsg([b"b", b"ar"], [], socket.MSG_EOR)
        assert answer_records(sock) == b"foobar"


def answer_records(sock):
    return sock.recv(6) + sock.recv(6)


def test_from_c():
    host, port = alpha.address
    script = "exec 3<>/dev/tcp/%s/%d; printf foobar >&3; head -c 6 <&3"
    assert subprocess.check_output(["bash", "-c", script % (host, port)]) == b"foobar"
