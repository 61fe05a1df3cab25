"""UDP refused to a real tree by the real kernel: datagrams are lost, and their senders meet no error."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Final

import pytest

from kernel.refusal.refused import bound, refuse, run, target
from tracer.record.refusal.targets import Refusal

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("network")]

UDP: Final = frozenset({"udp"})
STATSD, OTHER = 8125, 8126
WAYS: Final = """
import ctypes, tempfile
def opened(connected=None):
    s = socket(family(P["at"]), SOCK_DGRAM)
    if connected is not None:
        s.connect(connected)
    return s
def sendmmsg(at):
    "Of struct mmsghdr, all is 0 but the buffers: three empty messages."
    messages = ctypes.create_string_buffer(3 * 64)
    with opened(at) as s:
        assert ctypes.CDLL(None).sendmmsg(s.fileno(), messages, 3, 0) == 3
def segmented(at):
    s = opened(at)
    s.setsockopt(IPPROTO_UDP, 103, 4)  # UDP_SEGMENT
    s.send(b"123412341234")
def corked(at):
    s = opened()
    s.setsockopt(IPPROTO_UDP, 1, 1)  # UDP_CORK
    s.sendto(b"1", at)
    s.sendto(b"2", at)
    s.setsockopt(IPPROTO_UDP, 1, 0)
def sendfile(at):
    with tempfile.TemporaryFile() as file, opened(at) as s:
        file.write(b"file")
        file.flush()
        os.sendfile(s.fileno(), file.fileno(), 0, 4)
def splice(at):
    reading, writing = os.pipe()
    os.write(writing, b"pipe")
    with opened(at) as s:
        os.splice(reading, s.fileno(), 4)
for at, send in zip(P["peers"], (
    lambda at: opened().sendto(b"1", at),
    lambda at: opened().sendto(b"", at),
    lambda at: opened().sendmsg([b"1", b"2"], [], 0, at),
    lambda at: opened().sendto(b"1" * 60000, at),
    lambda at: opened(at).send(b"1"),
    lambda at: opened(at).sendto(b"1", at),
    lambda at: opened((at[0], 9)).sendto(b"1", at),
    corked, sendmmsg, segmented, sendfile, splice,
)):
    send(tuple(at))
report("sent")
"""
CALLS: Final = (*[1] * 8, 3, 1, 1, 1)
"""Of each way, in this order: refused calls, or messages of one call."""


def arrived(receiver: socket.socket) -> list[bytes]:
    """What a socket has received, up to now."""
    with socket.socket(receiver.family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"the end", receiver.getsockname())
    received = [b""]
    while received[-1] != b"the end":
        received.append(receiver.recv(1 << 16))
    return received[1:-1]


@pytest.mark.parametrize(
    ("host", "server"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("192.0.2.7", "192.0.2.7"),
        ("::1", "::1"),
        ("::", "::1"),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_datagrams_are_lost_in_whatever_way_they_are_sent(host: str, server: str) -> None:
    peers = [(host, STATSD + way) for way in range(len(CALLS))]
    refused = {target(server, port): calls for (_, port), calls in zip(peers, CALLS, strict=True)}
    with ExitStack() as stack:
        receivers = [bound(stack, socket.SOCK_DGRAM, (server, port)) for _, port in peers]
        assert run(Refusal(tuple(refused)), WAYS, at=(host, 0), peers=peers).counts == refused
        assert [arrived(receiver) for receiver in receivers] == [[]] * len(CALLS)
        assert run(Refusal((target(server, 1),)), WAYS, at=(host, 0), peers=peers).counts == {}
        assert all(map(arrived, receivers))


@pytest.mark.parametrize(("host", "level", "option"), [("127.0.0.1", 0, 11), ("::1", 41, 25)], ids=["IPv4", "IPv6"])
def test_who_asks_for_errors_gets_one(host: str, level: int, option: int) -> None:
    """IP_RECVERR and IPV6_RECVERR: the kernel reports every lost packet."""
    text = """
        s, connected = (socket(family(P["at"]), SOCK_DGRAM) for _ in range(2))
        for one in s, connected:
            one.setsockopt(P["level"], P["option"], 1)
        connected.connect(named(P["at"]))
        report([met(s.sendto, b"1", named(P["at"])), met(connected.send, b"1")])
    """
    met = run(refuse((host, STATSD)), text, at=(host, STATSD), level=level, option=option)
    assert met.result == ["ENOBUFS", "ENOBUFS"]
    assert met.counts == {target(host, STATSD): 2}


def test_an_answer_does_not_come() -> None:
    text = """
        s = socket(type=SOCK_DGRAM)
        s.settimeout(0.05)
        s.connect(named(P["at"]))
        s.send(b"1")
        try:
            s.recv(1)
        except TimeoutError:
            report("nothing")
    """
    with ExitStack() as stack:
        bound(stack, socket.SOCK_DGRAM, ("127.0.0.1", STATSD))
        assert run(refuse(("127.0.0.1", STATSD)), text, at=("127.0.0.1", STATSD)).result == "nothing"


def test_to_connect_is_no_refused_call() -> None:
    """getaddrinfo(3) connects by UDP to each address of a name, to sort them."""
    met = run(refuse(("127.0.0.1", STATSD)), 'report(connect(P["at"], SOCK_DGRAM))', at=("127.0.0.1", STATSD))
    assert met.result == "ok"
    assert met.counts == {}


def test_protocols() -> None:
    text = 'report([connect(P["at"]), send(P["at"])])'
    at = ("127.0.0.1", STATSD)
    tcp, udp = target(*at, protocols=frozenset({"tcp"})), target(*at, protocols=UDP)
    with ExitStack() as stack:
        bound(stack, socket.SOCK_STREAM, at)
        receiver = bound(stack, socket.SOCK_DGRAM, at)
        only_tcp = run(Refusal((tcp,)), text, at=at)
        assert (only_tcp.result, only_tcp.counts, arrived(receiver)) == (["ECONNREFUSED", "ok"], {tcp: 1}, [b"1"])
        only_udp = run(Refusal((udp,)), text, at=at)
        assert (only_udp.result, only_udp.counts, arrived(receiver)) == (["ok", "ok"], {udp: 1}, [])


def test_one_socket_for_a_refused_peer_and_others() -> None:
    """Each send is decided by its own address, if it has one; otherwise by that of the connected peer."""
    text = """
        refused, other = (("127.0.0.1", port) for port in P["ports"])
        s = socket(type=SOCK_DGRAM)
        for peer in refused, other, refused, other:
            s.sendto(b"to an address", peer)
        s.connect(other)
        s.send(b"connected after a refused send")
        s.sendto(b"lost", refused)
        s.send(b"connected")
        s.connect(refused)
        s.sendto(b"to another address than the peer's", other)
        s.send(b"lost")
        report("sent")
    """
    with ExitStack() as stack:
        refused, other = (bound(stack, socket.SOCK_DGRAM, ("127.0.0.1", port)) for port in (STATSD, OTHER))
        met = run(refuse(("127.0.0.1", STATSD)), text, ports=(STATSD, OTHER))
        assert arrived(refused) == []
        assert arrived(other) == [
            *[b"to an address"] * 2,
            b"connected after a refused send",
            b"connected",
            b"to another address than the peer's",
        ]
    assert met.counts == {target("127.0.0.1", STATSD): 4}


def test_threads_that_share_a_socket() -> None:
    text = """
        from threading import Thread
        s = socket(type=SOCK_DGRAM)
        def send(port):
            for _ in range(P["times"]):
                s.sendto(b"1", ("127.0.0.1", port))
        threads = [Thread(target=send, args=(port,)) for port in 2 * P["ports"]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report("sent")
    """
    times = 100  # so many fit into the receiver's buffer
    with ExitStack() as stack:
        refused, other = (bound(stack, socket.SOCK_DGRAM, ("127.0.0.1", port)) for port in (STATSD, OTHER))
        met = run(refuse(("127.0.0.1", STATSD)), text, ports=(STATSD, OTHER), times=times)
        assert (arrived(refused), len(arrived(other))) == ([], 2 * times)
    assert met.counts == {target("127.0.0.1", STATSD): 2 * times}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_server_of_the_tree_that_begins_after_its_client_has_connected(host: str) -> None:
    text = """
        s, server = (socket(family(P["at"]), SOCK_DGRAM) for _ in range(2))
        s.connect(named(P["at"]))
        s.send(b"too early")
        server.bind(named(P["at"]))
        s.send(b"in time")
        report(server.recv(9).decode())
    """
    met = run(refuse((host, STATSD)), text, at=(host, STATSD))
    assert (met.result, met.counts) == ("in time", {target(host, STATSD): 1})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"])
@pytest.mark.parametrize("wildcard", [False, True], ids=["one", "all"])
def test_the_trees_own_udp_server_answers(host: str, wildcard: bool) -> None:
    """Its answer goes to a port that the kernel chose for the client, and everything is refused."""
    any_host = "::" if ":" in host else "0.0.0.0"
    text = """
        server, free, connected = (socket(family(P["at"]), SOCK_DGRAM) for _ in range(3))
        server.bind((P["bound"], P["at"][1]))
        free.sendto(b"free", named(P["at"]))
        connected.connect(named(P["at"]))
        connected.send(b"connected")
        for _ in range(2):
            data, client = server.recvfrom(9)
            server.sendto(data, client)
        report([free.recv(9).decode(), connected.recv(9).decode()])
    """
    met = run(Refusal(everything=True), text, bound=any_host if wildcard else host, at=(host, 5353))
    assert met.result == ["free", "connected"]
