"""Every way to send, to every kind of peer: exactly these events, in this order, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.traced import Peers, run
from tracer.record.capture.protocol import Kind

pytestmark = pytest.mark.kernel

CONNECTED = ["CONNECT tcp 0", "CONNECT_RESULT tcp 0"]
ANSWERED_AT = "LISTEN udp://0.0.0.0:* 0"  # where a UDP socket that has no address of its own can be reached
ANSWERED_AT_6 = "LISTEN udp://[::]:* 0"
THIRTEEN = "one-two-three"

SENDMMSG = """
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]
class msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]
class mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", msghdr), ("len", ctypes.c_uint)]
def sendmmsg(s, *messages):
    vector = (mmsghdr * len(messages))()
    for message, (data, name) in zip(vector, messages):
        message.hdr = msghdr(name, len(name or b""), ctypes.pointer(iovec(data, len(data))), 1)
    assert libc.sendmmsg(s.fileno(), vector, len(messages), 0) == len(messages)
"""

IO_URING = """
SETUP, ENTER, OP_SEND = 425, 426, 26
def io_uring_send(s, data):
    "One SEND through a ring of one entry (io_uring(7))."
    params = (ctypes.c_uint32 * 30)()
    ring = libc.syscall(SETUP, 1, params)
    assert ring >= 0, os.strerror(ctypes.get_errno())
    sq_tail, sq_array = params[11], params[16]
    cq_head, cq_tail, cq_cqes = params[20], params[21], params[25]
    submitted = mmap.mmap(ring, 4096, offset=0)
    entries = mmap.mmap(ring, 4096, offset=0x10000000)
    buffer = ctypes.create_string_buffer(data, len(data))
    address = ctypes.addressof(buffer)
    entries[:40] = struct.pack("=BBHiQQIIQ", OP_SEND, FLAGS, 0, s.fileno(), 0, address, len(data), 0, 7)
    submitted[sq_array:sq_array + 4] = struct.pack("=I", 0)
    submitted[sq_tail:sq_tail + 4] = struct.pack("=I", 1)
    assert libc.syscall(ENTER, ring, 1, 1, 1, None, 0) == 1
    assert struct.unpack_from("=Qi", submitted, cq_cqes) == (7, len(data))
"""

# How it is sent → the program's lines, and the first bytes that the kernel can read.
CALLS = {
    "send": ("s.send(data)", b"one-two-three"),
    "sendto": ("s.sendto(data, P.tcp)", b"one-two-three"),
    "sendmsg": ("s.sendmsg([b'one-', b'two-three'])", b"one-"),
    "write": ("os.write(s.fileno(), data)", b"one-two-three"),
    "writev": ("os.writev(s.fileno(), [b'one-', b'two-three'])", b"one-"),
    "sendfile": ("os.sendfile(s.fileno(), os.open(name, os.O_RDONLY), 0, 13)", b""),
    "splice": ("r, w = os.pipe(); os.write(w, data); os.splice(r, s.fileno(), 13)", b""),
    "sendmmsg": (SENDMMSG + "sendmmsg(s, (data, None))", b"one-two-three"),
    "io_uring": ("FLAGS = 0" + IO_URING + "io_uring_send(s, data)", b""),
    "io_uring, from a worker": ("FLAGS = 1 << 4  # IOSQE_ASYNC" + IO_URING + "io_uring_send(s, data)", b""),
    "zero copy": ("s.setsockopt(SOL_SOCKET, 60, 1); s.send(data, 0x4000000)", b"one-two-three"),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_that_sends_is_told(
    call: str, peers: Peers, require: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if call.startswith("io_uring"):
        require("io_uring")
    file = tmp_path_factory.mktemp("sent") / "file"
    file.write_text(THIRTEEN)
    lines, head = CALLS[call]
    traced = run(f"data, name = b'{THIRTEEN}', sys.argv[2]\ns = create_connection(P.tcp)\n{lines}", peers, str(file))
    assert traced.lines(peers) == [*CONNECTED, "SEND tcp 13"]
    assert traced.sockets[-1].head == head
    assert len({(event.socket, event.network) for event in traced.sockets}) == 1


# What a program does → its socket events.
TALKS = {
    "udp, unconnected": (
        "s = socket(type=SOCK_DGRAM); s.sendto(b'1', P.udp); s.sendmsg([b'22'], [], 0, P.other)",
        ["SEND udp 1", ANSWERED_AT, "SEND other 2"],
    ),
    "udp, connected": (
        "s = socket(type=SOCK_DGRAM); s.connect(P.udp); s.send(b'1'); s.sendto(b'22', P.other)",
        ["CONNECT_RESULT udp 0", "SEND udp 1", "LISTEN udp://127.0.0.1:* 0", "SEND other 2"],
    ),
    "udp, with a name": (
        "s = socket(type=SOCK_DGRAM); s.bind(('127.0.0.1', 0)); socket(AF_INET6, SOCK_DGRAM).bind(('::1', 0))",
        ["LISTEN udp://127.0.0.1:* 0", "LISTEN udp://[::1]:* 0"],
    ),
    "udp, a name that is taken": (
        "with suppress(OSError): socket(type=SOCK_DGRAM).bind(P.udp)",
        [],
    ),
    "udp, dissolved association": (
        "s = socket(type=SOCK_DGRAM); s.connect(P.udp)\n"
        "assert libc.connect(s.fileno(), struct.pack('=H14x', AF_UNSPEC), 16) == 0\ns.sendto(b'1', P.other)",
        ["CONNECT_RESULT udp 0", "SEND other 1", ANSWERED_AT],
    ),
    "udp, each message of a sendmmsg its own way": (
        SENDMMSG + "s = socket(type=SOCK_DGRAM); s.sendto(b'1', P.udp); s.sendto(b'1', P.udp)\n"
        "for times in range(2): sendmmsg(s, (b'22', inet(*P.other)), (b'333', inet(*P.udp)))",
        ["SEND udp 1", ANSWERED_AT, "SEND udp 1", *["SEND other 2", "SEND udp 3"] * 2],
    ),
    "empty datagrams": (
        "s = socket(type=SOCK_DGRAM); s.sendto(b'', P.udp)",
        ["SEND udp 0", ANSWERED_AT],
    ),
    "nothing, sent on a stream": (
        "s = create_connection(P.tcp); s.send(b''); u = socket(AF_UNIX); u.connect(P.stream); u.send(b'')",
        [*CONNECTED, "CONNECT_RESULT stream 0"],
    ),
    "nothing, sent as a record": (
        "s = socket(AF_UNIX, SOCK_SEQPACKET); s.connect(P.packets); s.send(b'')",
        ["CONNECT_RESULT packets 0", "SEND packets 0"],
    ),
    "sent without a peer": (
        "for kind in SOCK_STREAM, SOCK_DGRAM:\n    with suppress(OSError): socket(type=kind).send(b'1')\n"
        "s = socket()\nwith suppress(ConnectionRefusedError): s.connect(P.closed)\n"
        "with suppress(BrokenPipeError): s.send(b'1')",
        ["CONNECT closed 0", "CONNECT_RESULT closed ECONNREFUSED"],
    ),
    "tcp over ipv6": (
        "s = create_connection(P.tcp6); s.send(b'1')",
        ["CONNECT tcp6 0", "CONNECT_RESULT tcp6 0", "SEND tcp6 1"],
    ),
    "udp over ipv6": (
        "s = socket(AF_INET6, SOCK_DGRAM); s.sendto(b'1', P.udp6); s.connect(P.udp6); s.send(b'22')",
        ["SEND udp6 1", ANSWERED_AT_6, "CONNECT_RESULT udp6 0", "SEND udp6 2"],
    ),
    "ipv4-mapped": (
        "s = socket(AF_INET6); s.connect(('::ffff:127.0.0.1', P.tcp[1])); s.send(b'1')\n"
        "u = socket(AF_INET6, SOCK_DGRAM); u.sendto(b'22', ('::ffff:127.0.0.1', P.udp[1]))",
        [*CONNECTED, "SEND tcp 1", "SEND udp 2", ANSWERED_AT_6],
    ),
    "an ipv4 address given to an ipv6 socket": (
        "s = socket(AF_INET6, SOCK_DGRAM)\n"
        "assert libc.sendto(s.fileno(), b'1', 1, 0, inet(*P.udp), 16) == 1\n"
        "assert libc.connect(s.fileno(), inet(*P.udp), 16) == 0; s.send(b'22')",
        ["SEND udp 1", ANSWERED_AT_6, "CONNECT_RESULT udp 0", "SEND udp 2"],
    ),
    "unix stream": (
        "s = socket(AF_UNIX); s.connect(P.stream); s.send(b'1'); os.write(s.fileno(), b'22')",
        ["CONNECT_RESULT stream 0", "SEND stream 1", "SEND stream 2"],
    ),
    "unix stream, its path taken away": (
        "s = socket(AF_UNIX); s.connect(P.stream); os.unlink(P.stream); s.send(b'1')",
        ["CONNECT_RESULT stream 0", "SEND stream 1"],
    ),
    "unix stream, by another path": (
        "os.chdir(os.path.dirname(P.stream)); s = socket(AF_UNIX); s.connect(os.path.basename(P.stream)); s.send(b'1')",
        ["CONNECT_RESULT stream 0", "SEND stream 1"],
    ),
    "unix seqpacket": (
        "s = socket(AF_UNIX, SOCK_SEQPACKET); s.connect(P.packets); s.send(b'1')",
        ["CONNECT_RESULT packets 0", "SEND packets 1"],
    ),
    "unix datagrams": (
        "s = socket(AF_UNIX, SOCK_DGRAM); s.sendto(b'1', P.datagrams); s.connect(P.datagrams); s.send(b'22')",
        ["SEND datagrams 1", "CONNECT_RESULT datagrams 0", "SEND datagrams 2"],
    ),
    "unix datagrams, with a name": (
        "s = socket(AF_UNIX, SOCK_DGRAM); s.bind(P.missing); s.sendto(b'1', P.datagrams)",
        ["LISTEN missing 0", "SEND datagrams 1"],
    ),
    "unix abstract": (
        "s = socket(AF_UNIX); s.connect(P.abstract); s.send(b'1')",
        ["CONNECT_RESULT abstract 0", "SEND abstract 1"],
    ),
    "unix, missing": (
        "for kind in SOCK_STREAM, SOCK_DGRAM:\n"
        "    with suppress(FileNotFoundError): socket(AF_UNIX, kind).connect(P.missing)\n"
        "with suppress(FileNotFoundError): socket(AF_UNIX, SOCK_DGRAM).sendto(b'1', P.missing)",
        ["CONNECT_RESULT missing ENOENT", "CONNECT_RESULT missing ENOENT", "SEND missing ENOENT"],
    ),
    "refused": (
        "s = socket()\nwith suppress(ConnectionRefusedError): s.connect(P.closed)",
        ["CONNECT closed 0", "CONNECT_RESULT closed ECONNREFUSED"],
    ),
    "non-blocking, established": (
        "s = socket(); s.setblocking(False); assert s.connect_ex(P.tcp) == errno.EINPROGRESS\n"
        "import select; select.select([], [s], []); s.send(b'1')",
        [*CONNECTED, "SEND tcp 1"],
    ),
    "non-blocking, refused": (
        "s = socket(); s.setblocking(False); assert s.connect_ex(P.closed) == errno.EINPROGRESS\n"
        "import select; select.select([], [s], [])\n"
        "assert s.getsockopt(SOL_SOCKET, SO_ERROR) == errno.ECONNREFUSED",
        ["CONNECT closed 0", "CONNECT_RESULT closed ECONNREFUSED"],
    ),
    "a second attempt on one socket": (
        "s = socket()\nwith suppress(ConnectionRefusedError): s.connect(P.closed)\ns.connect(P.tcp); s.send(b'1')",
        ["CONNECT closed 0", "CONNECT_RESULT closed ECONNREFUSED", *CONNECTED, "SEND tcp 1"],
    ),
    "connected already": (
        "s = create_connection(P.tcp)\nassert s.connect_ex(P.tcp) == errno.EISCONN",
        CONNECTED,
    ),
    "fast open": (
        "s = socket(); s.sendto(b'1', MSG_FASTOPEN, P.tcp)\n"
        "with suppress(FileNotFoundError): socket(AF_UNIX).connect(P.missing)",
        ["CONNECT tcp 0", "CONNECT_RESULT tcp 0", "SEND tcp 1", "CONNECT_RESULT missing ENOENT"],
    ),
    "a send that failed": (
        "s = socket(AF_UNIX); s.connect(P.stream); s.shutdown(SHUT_WR)\nwith suppress(BrokenPipeError): s.send(b'1')",
        ["CONNECT_RESULT stream 0", "SEND stream EPIPE"],
    ),
    "socketpair": (
        "for kind in SOCK_STREAM, SOCK_DGRAM:\n    a, b = socketpair(type=kind); a.send(b'1'); b.send(b'2')",
        [],
    ),
    "no socket at all": (
        "r, w = os.pipe()\nfor fd in r, os.open(sys.executable, os.O_RDONLY), os.memfd_create('m'), 999:\n"
        "    assert libc.connect(fd, inet(*P.tcp), 16) == -1",
        [],
    ),
    "an address of the wrong family": (
        "s = socket(); assert libc.connect(s.fileno(), struct.pack('=H14x', AF_UNIX), 16) == -1\n"
        "assert ctypes.get_errno() == errno.EAFNOSUPPORT; assert libc.connect(s.fileno(), None, 16) == -1",
        [],
    ),
    "netlink": (
        "s = socket(AF_NETLINK, SOCK_RAW); s.connect((0, 0)); s.send(struct.pack('=IHHII', 16, 1, 0, 0, 0))",
        [],
    ),
}


@pytest.mark.parametrize("talk", TALKS)
def test_exactly_what_was_done_is_told(talk: str, peers: Peers, require: Callable[[str], None]) -> None:
    if "6" in talk or "mapped" in talk:
        require("ipv6")
    text, lines = TALKS[talk]
    assert run(text, peers).lines(peers) == lines


def test_a_full_queue_is_no_send(peers: Peers) -> None:
    fill = """
        s = create_connection(P.tcp); s.setblocking(False); sent = []
        with suppress(BlockingIOError):
            while True: sent.append(s.send(bytes(1 << 20)))
        print(*sent, file=open(P.missing, "w"))
    """
    traced = run(fill, peers)
    sent = [int(size) for size in Path(peers.missing).read_text().split()]
    assert sent
    sends = traced.sockets[2:]
    assert sum(event.sends for event in sends) == len(sent)
    assert sum(event.result for event in sends) == sum(sent)


def test_sends_that_wait_at_a_time_are_all_told(peers: Peers) -> None:
    """More than the kernel has room for where it has to remember the calls whose ends a kprobe waits for."""
    text = """
        SENDTO = {"x86_64": "44", "aarch64": "206"}[os.uname().machine]
        server = socket(AF_UNIX); server.bind("\\0waiting %d" % os.getpid()); server.listen(40)
        def pair():
            client = socket(AF_UNIX); client.connect(server.getsockname())
            served, _ = server.accept(); served.setblocking(False)
            return client, served
        pairs = [pair() for _ in range(40)]
        sent = []
        def fill(client):
            client.setblocking(False)
            with suppress(BlockingIOError):
                while True: sent.append(client.send(bytes(65536)))
            client.setblocking(True)
            sent.append(client.send(b"1"))
        def waits(thread):
            return open(f"/proc/self/task/{thread.native_id}/syscall").read().split()[0] == SENDTO
        threads = [threading.Thread(target=fill, args=(client,)) for client, _ in pairs]
        for thread in threads: thread.start()
        while not all(map(waits, threads)): os.sched_yield()
        while any(thread.is_alive() for thread in threads):
            for _, served in pairs:
                with suppress(BlockingIOError): served.recv(1 << 20)
        report(sent=sent)
    """
    sends = run(text, peers).sends
    sent = json.loads(Path(peers.missing).read_text())["sent"]
    assert sum(event.sends for event in sends) == len(sent)
    assert sum(event.result for event in sends) == sum(sent)


def test_two_can_be_the_first_to_send_on_a_socket(peers: Peers) -> None:
    text = """
        sockets = [socket(type=SOCK_DGRAM) for turn in range(300)]
        turns = mmap.mmap(-1, 8192)
        mine, other = (0, 4096) if os.fork() else (4096, 0)
        for turn, s in enumerate(sockets):
            turns[mine + turn] = 1
            while not turns[other + turn]: os.sched_yield()
            s.sendto(b"1", P.udp)
        if not mine: os.wait()
    """
    assert len(run(text, peers).sends) == 600


@pytest.mark.parametrize(("family", "peer"), [("AF_INET", "tcp"), ("AF_UNIX", "stream")])
def test_first_bytes_are_exact(family: str, peer: str, peers: Peers) -> None:
    text = f"""
        s = socket({family}); s.connect(P.{peer})
        for size in 5, 31, 32, 33, 34: s.send(bytes(range(size)))
        t = socket({family}); t.connect(P.{peer}); t.sendmsg([b"", b"unseen"])
    """
    sends = [event for event in run(text, peers).sockets if event.kind == Kind.SEND]
    assert [event.result for event in sends] == [5, 31, 32, 33, 34, 6]
    assert [event.prefix for event in sends] == [bytes(range(5)), bytes(range(31)), *[bytes(range(32))] * 2, b"", b""]
    assert [event.head for event in sends] == [bytes(range(5)), *[bytes(range(16))] * 4, b""]


def test_each_socket_has_its_own_first_sends(peers: Peers) -> None:
    text = """
        a, b = create_connection(P.tcp), create_connection(P.tcp)
        for turn in range(5): a.send(b"a"); b.send(b"b")
    """
    sends = [event for event in run(text, peers).sockets if event.kind == Kind.SEND]
    sockets = list(dict.fromkeys(event.socket for event in sends))
    assert len(sockets) == 2
    prefixes = [b"a", b"b"] * 4 + [b"", b""]
    assert [(event.socket, event.prefix) for event in sends] == list(zip(sockets * 5, prefixes, strict=True))
