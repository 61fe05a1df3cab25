import ctypes
import os
import socket

from peers import ask, datagrams, udp, udp6

ELSEWHERE = ("127.0.0.9", udp.address[1])  # nobody is there


def test_sendto():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"one", udp.address)
        sock.sendto(b"other", ELSEWHERE)
        sock.sendto(b"four", udp.address)
        assert sorted(sock.recv(9) for _ in range(2)) == [b"four", b"one"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"one", datagrams.address)


def test_one_socket_for_both_families():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.sendto(b"one", ("::ffff:127.0.0.1", udp.address[1]))
        assert sock.recv(9) == b"one"
        sock.sendto(b"four", udp6.address)
        assert sock.recv(9) == b"four"


def test_many_destinations():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for host in range(10, 18):
            sock.sendto(b"x", ("127.0.0.%d" % host, udp.address[1]))


def test_sendmsg():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b"one", b"two"], [], 0, udp.address)
        assert sock.recv(9) == b"onetwo"


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("namelen", ctypes.c_uint),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("header", Msghdr), ("sent", ctypes.c_uint)]


def sendmmsg(sock, messages):
    headers = (Mmsghdr * len(messages))()
    for header, (data, (host, port)) in zip((one.header for one in headers), messages):
        name = socket.AF_INET.to_bytes(2, "little") + port.to_bytes(2, "big") + socket.inet_aton(host) + bytes(8)
        header.name, header.namelen = name, len(name)
        header.iov, header.iovlen = ctypes.pointer(Iovec(data, len(data))), 1
    libc = ctypes.CDLL(None, use_errno=True)
    sent = libc.sendmmsg(sock.fileno(), headers, len(messages), 0)
    assert sent == len(messages), os.strerror(ctypes.get_errno())


def test_sendmmsg():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sendmmsg(sock, [(b"a", udp.address), (b"two", ELSEWHERE), (b"ccc", udp.address)])
        assert sorted(sock.recv(9) for _ in range(2)) == [b"a", b"ccc"]


def test_elsewhere_than_connected():
    with udp.connect() as sock:
        ask(sock)
        sock.sendto(b"other", ELSEWHERE)


def test_only_connects():
    udp.connect().close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(ELSEWHERE)
