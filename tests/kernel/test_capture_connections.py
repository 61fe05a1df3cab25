"""Failed attempts, sides of a connection, listeners; other processes, and lost events."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kernel.leaks import open_files
from kernel.traced import Peers, backend, capturing, ended, inode, run, script
from tracer.record.capture.bpf import session
from tracer.record.capture.protocol import Event, Kind, SocketEvent
from tracer.trace.endpoint import Endpoint

pytestmark = pytest.mark.kernel


def test_an_unreachable_network_is_an_attempt(peers: Peers, require: Callable[[str], None]) -> None:
    require("namespaces")
    text = """
        assert socket().connect_ex(P.tcp) == errno.ENETUNREACH
        with suppress(OSError): socket(type=SOCK_DGRAM).sendto(b"1", P.udp)
    """
    traced = run(text, peers, namespaces="-n")
    assert traced.lines(peers) == ["CONNECT_RESULT tcp ENETUNREACH", "SEND udp ENETUNREACH"]
    assert {event.network for event in traced.sockets}.isdisjoint({0, inode("/proc/self/ns/net")})


def test_a_timed_out_attempt_tells_when_it_began(peers: Peers) -> None:
    text = """
        s = socket(); s.setsockopt(IPPROTO_TCP, TCP_SYNCNT, 1)
        assert s.connect_ex(P.full) == errno.ETIMEDOUT
    """
    traced = run(text, peers)
    assert traced.lines(peers) == ["CONNECT full 0", "CONNECT_RESULT full ETIMEDOUT"]
    begun, ended = traced.sockets
    assert ended.since_ns == begun.ns < ended.ns - 900_000_000  # the first retry comes after a second (RFC 6298)
    assert (ended.process, ended.tid, ended.socket) == (begun.process, begun.tid, begun.socket)


def missed_calls() -> int:
    """Of all programs that this process has open."""
    return sum(session.misses(int(file)) for file in open_files())


def test_results_are_told_whatever_they_interrupt(peers: Peers, require: Callable[[str], None]) -> None:
    """No program can interrupt itself, and a packet may arrive while a probe emits an event of another socket.

    Here one CPU does the receiving for both (RPS), each time it is interrupted, and has attempts of its own.
    """
    require("namespaces")
    text = """
        import select, subprocess
        for command in ("mount -t sysfs sysfs /sys", "ip link set lo up"):
            subprocess.run(command.split(), check=True)
        open("/sys/class/net/lo/queues/rx-0/rps_cpus", "w").write("1")
        listener = create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        if accepting := os.fork():
            listener.close()
            other = os.fork()
            os.sched_setaffinity(0, {0 if other else os.cpu_count() - 1})
            for _ in range(2500):
                s = socket(); s.setblocking(False)
                s.connect_ex(address)
                select.select([], [s], [])
                assert s.getsockopt(SOL_SOCKET, SO_ERROR) == 0
                s.close()
            if other: assert os.waitpid(other, 0)[1] == os.waitpid(accepting, 0)[1] == 0
        else:
            for _ in range(5000): listener.accept()[0].close()
    """
    before = missed_calls()
    traced = run(text, peers, namespaces="-n -m")
    if backend() == "libbpf":  # bcc's programs are not all in this process
        assert missed_calls() > before, "no probe was interrupted"
    kinds = Counter(event.kind for event in traced.sockets if event.result == 0)
    assert (kinds[Kind.CONNECT], kinds[Kind.CONNECT_RESULT]) == (5000, 5000)


def test_an_attempt_that_was_given_up_did_not_succeed(peers: Peers) -> None:
    text = """
        s = socket(); s.setblocking(False)
        assert s.connect_ex(P.full) == errno.EINPROGRESS
        s.close()
    """
    traced = run(text, peers)
    assert traced.lines(peers) == ["CONNECT full 0", "CONNECT_RESULT full ECANCELED"]
    assert traced.sockets[0].socket == traced.sockets[1].socket != 0


def test_listeners_are_told_and_what_they_accept_is_not(peers: Peers, require: Callable[[str], None]) -> None:
    require("ipv6")
    text = """
        listeners = [create_server((host, 0)) for host in ("127.0.0.1", "0.0.0.0")]
        listeners.append(create_server(("::", 0), family=AF_INET6))
        print(*(listener.getsockname()[1] for listener in listeners), file=open(P.missing, "w"))
        client = create_connection(listeners[0].getsockname())
        accepted, _ = listeners[0].accept()
        accepted.send(b"from the server"); os.write(accepted.fileno(), b"again"); client.send(b"1")
        for listener in listeners: listener.close()
    """
    traced = run(text, peers)
    ports = [int(port) for port in Path(peers.missing).read_text().split()]
    own, *_ = endpoints = [
        str(Endpoint("tcp", host, port)) for host, port in zip(["127.0.0.1", "0.0.0.0", "::"], ports, strict=True)
    ]
    assert traced.lines(peers) == [
        *(f"LISTEN {endpoint} 0" for endpoint in endpoints),
        *(f"CONNECT {own} 0", f"CONNECT_RESULT {own} 0", f"SEND {own} 1"),
        *(f"LISTEN_END {endpoint} 0" for endpoint in endpoints),
    ]


def test_listening_ends_with_the_last_who_has_the_socket(peers: Peers) -> None:
    text = """
        listener = create_server(("127.0.0.1", 0))
        reading, writing = os.pipe()
        if os.fork(): listener.close(); os.close(writing); os.wait()
        else: os.close(writing); os.read(reading, 1); create_connection(listener.getsockname()); os._exit(0)
    """
    traced = run(text, peers)
    assert [event.kind for event in traced.sockets] == [
        *(Kind.LISTEN, Kind.CONNECT, Kind.CONNECT_RESULT, Kind.LISTEN_END),
    ]
    assert [event.process for event in traced.sockets] == [1, 2, 2, 2]
    assert len({event.endpoint for event in traced.sockets}) == 1


OWN_NETWORK = """
    import subprocess
    for command in ("link set lo up", "address add 192.0.2.1/32 dev lo", "address add 2001:db8::1/128 dev lo nodad",
                    "route add 198.51.100.0/24 dev lo"):
        subprocess.run(["ip", *command.split()], check=True)
    while b"2001:db8::1" not in subprocess.check_output(["ip", "-6", "route", "show", "table", "local"]):
        pass  # the kernel adds the address first, and its route a little later (addrconf_dad_work)
"""


@pytest.mark.probes  # strace reads /proc, where no process of this network namespace is left
def test_which_peers_are_this_machine(peers: Peers, require: Callable[[str], None]) -> None:
    """The addresses of connected sockets show it."""
    require("namespaces")
    require("ipv6")
    text = """
    for host in "127.0.0.1", "192.0.2.1", "2001:db8::1":
        listener = create_server((host, 0), family=AF_INET6 if ":" in host else AF_INET)
        create_connection(listener.getsockname()[:2])
    for host in "192.0.2.1", "198.51.100.7":
        s = socket(type=SOCK_DGRAM); s.connect((host, 9)); s.send(b"1")
    """
    traced = run(OWN_NETWORK + text, peers, namespaces="-n")
    kinds = {Kind.CONNECT, Kind.SEND}
    assert [
        (str(event.endpoint).rpartition(":")[0], event.local) for event in traced.sockets if event.kind in kinds
    ] == [
        ("tcp://127.0.0.1", True),
        ("tcp://192.0.2.1", True),
        ("tcp://[2001:db8::1]", True),
        ("udp://192.0.2.1", True),
        ("udp://198.51.100.7", False),
    ]


def test_a_port_that_only_other_machines_answer_is_not_told(peers: Peers, require: Callable[[str], None]) -> None:
    require("namespaces")
    text = """
    s = socket(type=SOCK_DGRAM)
    s.sendto(b"1", ("198.51.100.7", 9))
    with suppress(OSError): s.sendto(b"1", ("203.0.113.7", 9))
    for turn in range(2): s.sendto(b"1", ("127.0.0.1", 9))
    """
    lines = run(OWN_NETWORK + text, peers, namespaces="-n").lines(peers)
    assert lines == [
        "SEND udp://198.51.100.7:* 1",
        "SEND udp://203.0.113.7:* ENETUNREACH",
        *("SEND udp://127.0.0.1:* 1", "LISTEN udp://0.0.0.0:* 0", "SEND udp://127.0.0.1:* 1"),
    ]


@pytest.mark.parametrize("name", ["", "client.bind('');"], ids=["nameless", "named"])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_SEQPACKET"])
def test_the_accepting_side_of_a_unix_socket_is_not_told(kind: str, name: str, peers: Peers) -> None:
    text = f"""
        listener = socket(AF_UNIX, {kind}); listener.bind(P.missing); listener.listen()
        client = socket(AF_UNIX, {kind}); {name} client.connect(P.missing)
        accepted, _ = listener.accept()
        accepted.send(b"from the server"); client.send(b"1")
    """
    traced = run(text, peers)
    assert traced.lines(peers) == ["CONNECT_RESULT missing 0", "SEND missing 1"]
    assert {event.peer_pid for event in traced.sockets} == {traced.pid}


@pytest.mark.probes  # strace knows those of the tree only
def test_the_listener_behind_a_unix_socket_is_told(peers: Peers) -> None:
    connected, sent = run("s = socket(AF_UNIX); s.connect(P.stream); s.send(b'1')", peers).sockets
    assert connected.peer_pid == sent.peer_pid == os.getpid()


def sizes(events: Iterable[Event]) -> list[int]:
    """The bytes of each send."""
    return [event.result for event in events if isinstance(event, SocketEvent) and event.kind == Kind.SEND]


def test_what_others_do_is_not_told(peers: Peers) -> None:
    """Others: the tracer itself, and a child of it that is not the root of the tree."""
    with capturing() as loaded, socket.create_connection(peers.tcp) as own:
        other = os.fork()
        if other == 0:
            own.send(b"another process")
            os._exit(0)
        os.waitpid(other, 0)
        own.send(b"the tracer")
        with ended(loaded, *script("create_connection(P.tcp).send(b'1')", peers)) as command:
            own.send(b"the tracer, later")
            events = list(command.session.drain())
    assert {event.process for event in events} == {1}
    assert sizes(events) == [1]


@pytest.mark.probes
@pytest.mark.parametrize("sends", [1, 7919])
def test_what_does_not_fit_is_counted(sends: int, peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracer.record.capture.bpf.sizes.RING_BYTES", 4096)
    text = """
        s = socket(type=SOCK_DGRAM)
        for turn in range(int(sys.argv[2])): s.sendto(b"1", P.udp)
    """
    with capturing() as loaded, ended(loaded, *script(text, peers, str(sends))) as command:
        received = list(command.session.drain())
        happened = sends + 4  # exec, the thread's announcement, the socket's own address, exit
        assert command.session.lost() == happened - len(received)
        assert (command.session.lost() > 0) == (sends > 1)
        assert list(command.session.drain()) == []


@pytest.mark.probes
def test_a_drained_ring_has_room_again(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many records as fill the ring many times over, a turn at a time: none is lost and none comes twice."""
    monkeypatch.setattr("tracer.record.capture.bpf.sizes.RING_BYTES", 4096)
    text = "socket(type=SOCK_DGRAM).sendto(bytes(int(sys.argv[2])), P.udp)"
    with capturing() as loaded:
        results: list[int] = []
        for turn in range(50):
            with ended(loaded, *script(text, peers, str(turn))) as command:
                results += sizes(command.session.drain())
                assert command.session.lost() == 0
        assert results == list(range(50))
