import asyncio
import grp
import os
import socket
import subprocess


def test_socketpairs():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        here, there = socket.socketpair(socket.AF_UNIX, kind)
        with here, there:
            here.send(b"ask")
            assert there.recv(3) == b"ask"


def test_pipes():
    assert subprocess.check_output(["cat"], input=b"ask") == b"ask"
    out, into = os.pipe()
    os.write(into, b"ask")
    os.close(into)
    os.close(out)


def test_netlink():
    assert socket.if_nameindex()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.bind((0, 0))
        sock.sendto(b"\x14\0\0\0\x12\0\x01\x03" + bytes(12), (0, 0))  # RTM_GETLINK
        assert sock.recv(65536)


def test_event_loop():
    async def nothing():
        await asyncio.get_running_loop().run_in_executor(None, int)

    asyncio.run(nothing())


def test_only_made():
    for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM)):
        with socket.socket(family, kind) as sock:
            sock.bind(("", 0))


def test_name_service():
    with socket.socket(socket.AF_UNIX) as sock:
        assert sock.connect_ex("/var/run/nscd/socket") in (0, 2)
    assert grp.getgrgid(0)
