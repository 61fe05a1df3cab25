"""TCP refused to a real tree by the real kernel: what the tree meets, and what it serves itself."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from kernel.refusal.refused import CONNECT, Servers, bound, refuse, run, running, target
from tracer.record.refusal.targets import EVERYTHING, Refusal

pytestmark = [pytest.mark.kernel]

TCP = frozenset({"tcp"})
LOCAL = ("127.0.0.1", "::1")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_tcp(host: str, servers: Servers) -> None:
    refusal = refuse(*((local, servers.port) for local in LOCAL))
    assert run(refusal, CONNECT, at=(host, servers.port)).result == "ECONNREFUSED"
    assert run(Refusal(), CONNECT, at=(host, servers.port)).result == "ok"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_tcp_without_waiting(host: str, servers: Servers) -> None:
    text = 'report(connect(P["at"], blocking=False))'
    refusal = refuse(*((local, servers.port) for local in LOCAL))
    assert run(refusal, text, at=(host, servers.port)).result == "ECONNREFUSED"
    assert run(Refusal(), text, at=(host, servers.port)).result == "EINPROGRESS"


def test_tcp_fast_open(servers: Servers) -> None:
    text = """
        s = socket()
        report(met(s.sendto, b"1", MSG_FASTOPEN, named(P["at"])))
    """
    assert run(refuse(("127.0.0.1", servers.port)), text, at=("127.0.0.1", servers.port)).result == "ECONNREFUSED"


def test_mptcp(servers: Servers) -> None:
    text = 'report(connect(P["at"], protocol=IPPROTO_MPTCP))'
    refusal = refuse(*((local, servers.port) for local in LOCAL))
    for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert run(refusal, text, at=(host, servers.port)).result == "ECONNREFUSED"
        assert run(Refusal(), text, at=(host, servers.port)).result == "ok"


def test_a_range_of_ports(servers: Servers) -> None:
    below, at, above = ((("127.0.0.1", servers.port + n)) for n in (-1, 0, 1))
    ports = target("127.0.0.1", servers.port - 1, servers.port)
    met = run(Refusal((ports,)), 'report([connect(at) for at in P["at"]])', at=(below, at, above))
    assert met.result[:2] == ["ECONNREFUSED", "ECONNREFUSED"]
    assert met.counts == {ports: 2}


def test_networks(servers: Servers) -> None:
    """A network refuses its addresses, a smaller exception in it does not; other networks are not refused."""
    text = 'report([send((host, P["port"])) for host in P["hosts"]])'
    wide, narrow = target("127.0.0.0/15", servers.port), target("127.1.1.0/24", servers.port)
    refusal = Refusal((wide, narrow), except_=(target("127.1.0.0/16", servers.port),))
    hosts = ["127.0.0.1", "127.1.0.1", "127.1.1.1", "127.2.0.1"]
    assert run(refusal, text, port=servers.port, hosts=hosts).counts == {wide: 1}


def test_counts(servers: Servers) -> None:
    """A refusal counts once, for the smallest network; what is not refused does not count."""
    wide, narrow = target("127.0.0.0/8"), target("127.0.0.1", servers.port)
    text = """
        for host in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "::1"):
            connect((host, P["port"]))
        report(send(("127.0.0.1", P["port"])))
    """
    met = run(Refusal((wide, narrow), everything=True), text, port=servers.port)
    assert met.counts == {wide: 1, narrow: 3, EVERYTHING: 1}


def test_a_client_outside_of_the_tree_is_not_refused(servers: Servers) -> None:
    text = """
        wait()
        before = connect(P["at"])
        wait(1)
        report([before, connect(P["at"])])
    """
    at = ("127.0.0.1", servers.port)
    with running(Refusal((target(*at),), everything=True), text, {"at": at}) as program:
        servers.answer()
        program.open()
        servers.answer()
        program.open(1)
        assert program.reported() == ["ECONNREFUSED", "ECONNREFUSED"]
        servers.answer()
        assert program.refusing.counts() == {target(*at): 2}


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("host", "clients"),
    [
        ("127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"]),
        ("::1", ["::1", "::"]),
        ("0.0.0.0", ["127.0.0.1", "127.3.2.1", "::ffff:127.0.0.1", "192.0.2.7"]),
        ("::", ["::1", "127.0.0.1", "127.3.2.1", "::ffff:127.0.0.1", "192.0.2.7", "2001:db8::7"]),
        ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"]),
        ("2001:db8::7", ["2001:db8::7"]),
    ],
)
@pytest.mark.parametrize("protocol", [socket.IPPROTO_TCP, 262], ids=["tcp", "mptcp"])
def test_the_trees_own_server(host: str, clients: list[str], protocol: int) -> None:
    """It is reached at the very port that is refused, from its own process and from another one."""
    text = """
        def tried():
            return sorted({connect((host, 5432)) for host in P["clients"]})
        before = tried()
        server = serve(P["host"], 5432, P["protocol"])
        if os.fork() == 0:
            os._exit(tried() != ["ok"])
        report([before, tried(), os.wait()[1]])
    """
    met = run(Refusal((target(None, 5432),)), text, host=host, clients=clients, protocol=protocol)
    assert met.result == [["ECONNREFUSED"], ["ok"], 0]
    assert met.counts == {target(None, 5432): len(clients)}


@pytest.mark.usefixtures("network")
def test_a_server_of_the_tree_does_not_stand_for_those_of_other_machines() -> None:
    """It is bound to all addresses, and its port is the one of a refused service elsewhere."""
    text = """
        server = serve("::", 5432)
        report([connect((host, 5432)) for host in ("198.51.100.1", "2001:db8::8", "127.0.0.1")])
    """
    assert run(Refusal((target(None, 5432),)), text).result == ["ECONNREFUSED", "ECONNREFUSED", "ok"]


@pytest.mark.usefixtures("network")
def test_a_server_of_the_tree_that_has_ended() -> None:
    text = """
        with serve("127.0.0.1", 5432):
            pass
        report(connect(("127.0.0.1", 5432)))
    """
    assert run(Refusal((target(None, 5432),)), text).result == "ECONNREFUSED"


@pytest.mark.usefixtures("network")
def test_a_server_of_the_tree_that_was_never_bound() -> None:
    text = """
        server = serve("127.0.0.1", 0, bind=False)
        report(connect(("127.0.0.1", server.getsockname()[1])))
    """
    assert run(Refusal(everything=True), text).result == "ok"


@pytest.mark.usefixtures("network")
def test_a_server_that_the_command_inherits() -> None:
    text = """
        server = socket(fileno=P["server"])
        server.setblocking(False)
        answers = [connect(("127.0.0.1", 5432)), connect(("127.0.0.1", 5433))]
        report([*answers, server.accept()[0].getsockname()])
    """
    with ExitStack() as stack:
        server = bound(stack, socket.SOCK_STREAM, ("127.0.0.1", 5432))
        bound(stack, socket.SOCK_STREAM, ("127.0.0.1", 5433))
        server.set_inheritable(True)
        met = run(Refusal((target(None, 5432, 5433),)), text, server=server.fileno())
    assert met.result == ["ok", "ECONNREFUSED", ["127.0.0.1", 5432]]


@pytest.mark.usefixtures("network")
def test_everything_but_exceptions() -> None:
    text = """
        peers = [(host, port) for host in ("127.0.0.1", "::1") for port in (5432, 6379)]
        report([*map(connect, peers), *map(send, peers)])
    """
    with ExitStack() as stack:
        for host in LOCAL:
            for port in (5432, 6379):
                bound(stack, socket.SOCK_STREAM, (host, port))
        met = run(Refusal(everything=True, except_=(target("127.0.0.1", 5432, protocols=TCP),)), text)
    assert met.result == ["ok", *["ECONNREFUSED"] * 3, *["ok"] * 4]
    assert met.counts == {EVERYTHING: 3 + 4}


def test_every_descendant(servers: Servers) -> None:
    """A grandchild whose parents have ended, in a session of its own, that executes another program."""
    text = """
        connecting = "import sys, socket; sys.exit(socket.socket().connect_ex(('127.0.0.1', int(sys.argv[1]))))"
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                command = [sys.executable, "-I", "-S", "-c", connecting, str(P["port"])]
                os.write(writing, b"%d" % subprocess.run(command).returncode)
            os._exit(0)
        os.wait()
        report(errno.errorcode[int(os.read(reading, 9))])
    """
    assert run(refuse(("127.0.0.1", servers.port)), text, port=servers.port).result == "ECONNREFUSED"
