import ctypes
import mmap
import os
import socket
import struct

from peers import alpha, ask, beta, closed, gamma, stream, udp

libc = ctypes.CDLL(None, use_errno=True)
SETUP, ENTER = 425, 426  # system call numbers, the same on every architecture
CONNECT, SEND = 16, 26  # IORING_OP_*
ASYNC = 16  # IOSQE_ASYNC: let a worker do it
GETEVENTS = 1


class Ring:
    """One operation at a time: io_uring(7), include/uapi/linux/io_uring.h."""

    def __init__(self):
        params = bytearray(120)
        buffer = (ctypes.c_char * 120).from_buffer(params)
        self.fd = libc.syscall(SETUP, 1, buffer)
        assert self.fd >= 0, os.strerror(ctypes.get_errno())
        self.sq = struct.unpack_from("8I", params, 40)  # head, tail, mask, entries, flags, dropped, array
        self.cq = struct.unpack_from("8I", params, 80)  # head, tail, mask, entries, overflow, cqes
        self.rings = mmap.mmap(self.fd, 4096, offset=0)  # both: IORING_FEAT_SINGLE_MMAP
        self.entries = mmap.mmap(self.fd, 4096, offset=0x10000000)

    def submit(self, operation, fd, address, length, offset=0, flags=0):
        self.entries[:64] = struct.pack("=BBHiQQII32x", operation, flags, 0, fd, offset, address, length, 0)
        tail = struct.unpack_from("I", self.rings, self.sq[1])[0]
        struct.pack_into("I", self.rings, self.sq[6], 0)
        struct.pack_into("I", self.rings, self.sq[1], tail + 1)
        assert libc.syscall(ENTER, self.fd, 1, 1, GETEVENTS, None, 0) == 1
        head, mask = (
            struct.unpack_from("I", self.rings, self.cq[0])[0],
            struct.unpack_from("I", self.rings, self.cq[2])[0],
        )
        result = struct.unpack_from("=Qi", self.rings, self.cq[5] + 16 * (head & mask))[1]
        struct.pack_into("I", self.rings, self.cq[0], head + 1)
        return result

    def send(self, sock, data, flags=0):
        buffer = ctypes.create_string_buffer(data, len(data))
        return self.submit(SEND, sock.fileno(), ctypes.addressof(buffer), len(data), flags=flags)

    def connect(self, sock, address):
        host, port = address
        name = struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)
        buffer = ctypes.create_string_buffer(name, len(name))
        return self.submit(CONNECT, sock.fileno(), ctypes.addressof(buffer), 0, offset=len(name))

    def close(self):
        self.rings.close()
        self.entries.close()
        os.close(self.fd)


def test_send():
    ring = Ring()
    for peer in (alpha, stream, udp):
        with peer.connect() as sock:
            assert ring.send(sock, b"ask") == 3
            assert sock.recv(3) == b"ask"
    ring.close()


def test_connect():
    ring = Ring()
    with socket.socket() as sock:
        assert ring.connect(sock, beta.address) == 0
        ask(sock)
    ring.close()


def test_refused():
    ring = Ring()
    with socket.socket() as sock:
        assert ring.connect(sock, closed.address) == -111
    ring.close()


def test_by_a_worker():
    ring = Ring()
    with gamma.connect() as sock:
        assert ring.send(sock, b"ask", ASYNC) == 3
        assert sock.recv(3) == b"ask"
    ring.close()
