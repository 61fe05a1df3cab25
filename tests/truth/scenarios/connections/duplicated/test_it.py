import os
import socket

from peers import alpha, ask, beta, delta, gamma, stream

kept = []


def test_os_dup():
    with alpha.connect() as sock:
        fd = os.dup(sock.fileno())
        os.write(fd, b"ask")
        os.close(fd)
        assert sock.recv(3) == b"ask"
        ask(sock)


def test_dup():
    sock = alpha.connect()
    with sock.dup() as other:
        sock.close()
        ask(other)


def test_fromfd():
    with alpha.connect() as sock, socket.fromfd(sock.fileno(), sock.family, sock.type) as other:
        ask(other)
        ask(sock)


def test_detach():
    with socket.socket(fileno=alpha.connect().detach()) as sock:
        ask(sock)


def test_dup2_over_another():
    with alpha.connect() as sock, beta.connect() as other:
        os.dup2(other.fileno(), sock.fileno())
        ask(sock)


def test_file():
    with stream.connect() as sock, sock.makefile("rwb") as file:
        file.write(b"ask")
        file.flush()
        assert file.read(3) == b"ask"


def test_connect_on_a_duplicate():
    with socket.socket() as sock, sock.dup() as other:
        other.connect(gamma.address)
        ask(sock)


def test_keeps_a_duplicate():
    with delta.connect() as sock:
        kept.append(sock.dup())


def test_uses_the_duplicate():
    with kept.pop() as sock:
        ask(sock)
