import os
import pwd
import socket
import subprocess
import sys

from peers import alpha, ask, udp

QUESTION = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\4shop\7example\0\0\1\0\1"  # RFC 1035, 4.1


def test_resolved_only():
    assert socket.getaddrinfo("localhost", alpha.address[1], type=socket.SOCK_STREAM)
    assert socket.getaddrinfo("127.0.0.1", "http")
    assert pwd.getpwuid(os.getuid())
    subprocess.run([sys.executable, "-c", "import socket; socket.getaddrinfo('localhost', 80)"], check=True)


def test_resolved_and_used():
    with socket.socket() as sock:
        sock.connect(("localhost", alpha.address[1]))
        ask(sock)


def test_question():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(QUESTION, udp.address)
        assert sock.recv(512) == QUESTION


def test_two_questions_at_once():
    """As the C library asks for A and AAAA: a connected socket, both before the first answer."""
    with udp.connect() as sock:
        sock.send(QUESTION)
        sock.send(QUESTION[:-4] + b"\0\x1c\0\1")
        assert sock.recv(512)
        assert sock.recv(512)
