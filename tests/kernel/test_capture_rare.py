"""What is rare: 32-bit programs, MPTCP, other families of sockets, refusals by seccomp, listeners from outside."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.traced import Peers, backend, capturing, ended, run, script, trace
from tracer.record.capture.bpf.programs import FREEING_TRACEPOINTS
from tracer.record.capture.protocol import Kind, SocketEvent

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="session")
def ask32(require: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A 32-bit program."""
    require("ia32")
    program = tmp_path_factory.mktemp("ask32") / "ask32"
    options = ("-m32", "-O1", "-static", "-nostdlib", "-ffreestanding", "-fno-pic", "-fno-stack-protector")
    subprocess.run(["clang", *options, Path(__file__).with_name("ask32.c"), "-o", program], check=True)
    return str(program)


@pytest.mark.parametrize(
    ("how", "peer", "events", "without_arguments"),
    [
        ("tcp", "tcp", ["CONNECT tcp 0", "CONNECT_RESULT tcp 0", "SEND tcp 3"], None),
        ("socketcall", "tcp", ["CONNECT tcp 0", "CONNECT_RESULT tcp 0", "SEND tcp 3"], None),
        ("tcp", "closed", ["CONNECT closed 0", "CONNECT_RESULT closed ECONNREFUSED"], None),
        ("datagram", "udp", ["CONNECT_RESULT udp 0", "SEND udp 3"], ["SEND udp 3"]),
        ("named", "udp", ["SEND udp 3"], ["SEND udp://0.0.0.0:* 3"]),
        ("unix", "stream", ["CONNECT_RESULT stream 0", "SEND stream 3"], ["SEND stream 3"]),
        ("unix", "missing", ["CONNECT_RESULT missing ENOENT"], []),
    ],
)
def test_a_32_bit_program(
    how: str, peer: str, events: list[str], without_arguments: list[str] | None, ask32: str, peers: Peers
) -> None:
    """The probes do not read the arguments of its calls: no first bytes, and no connect that only they describe."""
    address = getattr(peers, peer)
    traced = trace(ask32, how, *(("0", address) if how == "unix" else (str(address[1]),)))
    assert traced.lost == 0
    reads_arguments = backend() == "strace"
    expected = events if reads_arguments or without_arguments is None else without_arguments
    assert [line for line in traced.lines(peers) if not line.startswith("LISTEN")] == expected
    assert {event.prefix for event in traced.sends} <= {b"ask" if reads_arguments else b""}


def test_mptcp_clients_at_the_addresses_of_accepted_sockets(peers: Peers, require: Callable[[str], None]) -> None:
    """The kernel uses a freed socket's memory again, whether it was a client's or an accepted one."""
    require("mptcp")
    text = """
        server = socket(AF_INET, SOCK_STREAM, 262)
        server.bind(("127.0.0.1", 0)); server.listen()
        for turn in range(100):
            client = socket(AF_INET, SOCK_STREAM, 262)
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            client.send(b"ask"); accepted.recv(3)
            (accepted, client)[turn % 2].close(); (client, accepted)[turn % 2].close()
    """
    assert sum(event.sends for event in run(text, peers).sends) == 100


def test_accepted_sockets_at_the_addresses_of_clients(peers: Peers) -> None:
    """The run is the server of all of them."""
    text = """
        server = socket(AF_INET, SOCK_STREAM)
        server.bind(("127.0.0.1", 0)); server.listen()
        for turn in range(100):
            client = socket(AF_INET, SOCK_STREAM)
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            client.send(b"ask"); accepted.recv(3)
            accepted.send(b"answer"); client.recv(6)
            (accepted, client)[turn % 2].close(); (client, accepted)[turn % 2].close()
    """
    sends = run(text, peers).sends
    assert sum(event.sends for event in sends) == 100
    assert {event.result for event in sends} == {3}


def detach_newest(tracepoint: str) -> None:
    """Detach what this process attached last to a tracepoint."""
    for information in sorted(Path("/proc/self/fdinfo").iterdir(), key=lambda path: int(path.name), reverse=True):
        if information.exists() and f"\ntp_name:\t{tracepoint}\n" in information.read_text():
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, int(information.name))
            os.close(nothing)
            return


@pytest.mark.parametrize("reported", [True, False], ids=["reported", "missed"])
def test_clients_at_the_addresses_of_sockets_that_nobody_accepted(reported: bool, peers: Peers) -> None:
    """Also if the kernel skips the program by which bcc learns of the end of a socket."""
    text = """
        server = create_server(("127.0.0.1", 0))
        for turn in range(100):
            closing = create_server(("127.0.0.1", 0))
            create_connection(closing.getsockname()).close()
            closing.close()
            for client in [socket() for _ in range(4)]:
                client.connect(server.getsockname()); accepted, _ = server.accept()
                client.send(b"ask"); accepted.recv(3); accepted.close(); client.close()
    """
    with capturing() as loaded:
        if not reported:
            detach_newest(FREEING_TRACEPOINTS["socket_free"])
        with ended(loaded, *script(text, peers)) as command:
            sends = [event for event in command.session.drain() if event.kind == Kind.SEND]
            assert command.session.lost() == command.lost_before
    assert sum(event.sends for event in sends if isinstance(event, SocketEvent)) == 400


def test_the_run_is_the_server_of_its_mptcp_connections(peers: Peers, require: Callable[[str], None]) -> None:
    require("mptcp")
    text = """
        server = socket(AF_INET, SOCK_STREAM, 262)
        server.bind(("127.0.0.1", 0)); server.listen()
        client = socket(AF_INET, SOCK_STREAM, 262)
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        client.send(b"ask"); accepted.recv(3)
        accepted.send(b"answer"); client.recv(6)
    """
    traced = run(text, peers)
    (listens,) = (event for event in traced.sockets if event.kind == Kind.LISTEN)
    (send,) = traced.sends
    assert (send.endpoint, send.result) == (listens.endpoint, 3)


def test_other_families_have_no_events(peers: Peers) -> None:
    """AF_PACKET, AF_VSOCK (to a context that does not exist), AF_NETLINK."""
    text = """
        packets = socket(AF_PACKET, SOCK_DGRAM)
        packets.sendto(b"ask", ("lo", 0x88b5, 0, 0, b"\\xff" * 6))
        machine = socket(AF_VSOCK, SOCK_STREAM); machine.settimeout(0.05)
        with suppress(OSError): machine.connect((1, 5000)); machine.send(b"ask")
        socket(AF_NETLINK, SOCK_RAW).sendto(struct.pack("=IHHII", 16, 1, 0, 0, 0), (0, 0))
    """
    assert run(text, peers).sockets == []


def test_a_connect_that_seccomp_refuses(peers: Peers) -> None:
    """The probes see the end of a call that never began, with the errno of the program's own filter."""
    text = """
        calls = {"x86_64": 42, "aarch64": 203}
        code = [(0x20, 0, 0, 0), (0x15, 0, 1, calls[os.uname().machine]), (6, 0, 0, 0x50000 | errno.EACCES),
                (6, 0, 0, 0x7fff0000)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
        filter = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 4, ctypes.addressof(code)))
        assert libc.prctl(38, 1, 0, 0, 0) == libc.prctl(22, 2, filter, 0, 0) == 0
        assert socket().connect_ex(P.tcp) == socket(AF_UNIX).connect_ex(P.stream) == errno.EACCES
    """
    expected = [] if backend() == "strace" else ["CONNECT_RESULT tcp EACCES", "CONNECT_RESULT stream EACCES"]
    assert run(text, peers).lines(peers) == expected


def test_a_listener_from_outside_is_not_the_run_s(peers: Peers) -> None:
    """As systemd passes it (LISTEN_FDS). What the run sends to it is a send; what it answers is none."""
    text = """
        server = socket(fileno=int(sys.argv[2]))
        client = create_connection(server.getsockname())
        accepted, _ = server.accept()
        client.send(b"ask"); accepted.recv(3)
        accepted.send(b"answer"); client.recv(6)
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.set_inheritable(True)
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        traced = run(text, peers, str(server.fileno()))
    assert traced.lines(peers) == [f"CONNECT {address} 0", f"CONNECT_RESULT {address} 0", f"SEND {address} 3"]
