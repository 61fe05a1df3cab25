"""What the flows together say of endpoints: who answers there, and whether that is the run itself."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack

import pytest
from msgspec.structs import replace
from plain import plain
from trace_builder import TraceBuilder

from tracer.classify.places import Places
from tracer.classify.services.config import load_config
from tracer.classify.services.identify import Identifier
from tracer.classify.sockets import Sockets
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import SpanId
from tracer.trace.records import Flow, HostName, Listen, Refused

Build = Callable[..., Sockets]
PROCESS, TID, SOCKET = 1, 100, 5
INSIDE, OUTSIDE = 4026531840, 4026532000  # two network namespaces
PING, GET = b"*1\r\n$4\r\nPING\r\n".hex(), b"GET / HTTP/1.1\r\n".hex()
STARTUP = pack(">ii", 41, 196608).hex() + b"user\0me\0database\0shop\0".hex()
RANDOM = "tcp://127.0.0.1:49153"
CLIENT_HELLO = (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(21)).hex()
API, API_TOO = "tcp://93.184.216.34:443", "tcp://93.184.216.35:443"
WEB, METRICS, PATH = "tcp://127.0.0.1:8000", "udp://127.0.0.1:8125", "unix:///run/own.sock"


@pytest.fixture
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Of a trace with these listeners and flows."""
    identifier = Identifier(load_config(None, tmp_path_factory.mktemp("no_configuration")))

    def build(
        listens: tuple[Listen, ...],
        *flows: Flow,
        names: tuple[HostName, ...] = (),
        refused: tuple[Refused, ...] = (),
    ) -> Sockets:
        trace = replace(TraceBuilder().trace(), listens=listens, flows=flows, host_names=names, refused=refused)
        return Sockets(trace, identifier, Places(trace))

    return build


def listen(endpoint: str, start_ns: int = 100, *, begins: bool = True, network: int = INSIDE) -> Listen:
    return plain(Listen)(PROCESS, Endpoint.parse(endpoint), network, start_ns, begins)


def flow(endpoint: str, first_ns: int = 200, **changes: object) -> Flow:
    """A connection that was made, and used."""
    made = plain(Flow)(PROCESS, TID, SOCKET, Endpoint.parse(endpoint), (), first_ns, first_ns + 10, 1, 9, 1, 1, INSIDE)
    return replace(made, **changes)


def attempt(endpoint: str, first_ns: int = 200, **changes: object) -> Flow:
    """A connection that was refused."""
    refused = flow(endpoint, first_ns, sends=0, bytes=0, established=0, errors={"ECONNREFUSED": 1})
    return replace(refused, **changes)


def answer(name: str, ns: int, address: str = "93.184.216.34", process: int = PROCESS) -> HostName:
    return plain(HostName)(name, address, "dns", ns, process, INSIDE)


@pytest.mark.parametrize(("first_ns", "own"), [(99, False), (100, True), (300, True), (301, False)])
def test_a_connection_is_the_runs_own_if_it_listened_when_that_was_opened(
    first_ns: int, own: bool, sockets: Build
) -> None:
    begun, ended = listen(WEB, 100), listen(WEB, 300, begins=False)
    made = flow(WEB, first_ns)
    later = flow(WEB, first_ns + 5_000, spans=(7,), connects=0, established=0)
    broken = replace(later, spans=(SpanId(8),), sends=0, errors={"EPIPE": 1})
    facts = sockets((ended, begun), made, later, broken)
    assert [facts.is_self_hosted(each) for each in (made, later, broken)] == [own] * 3


def test_a_place_is_given_up_when_the_last_of_its_sockets_is(sockets: Build) -> None:
    """Processes that share a port (SO_REUSEPORT) have a socket each."""
    listens = (listen(WEB, 100), listen(WEB, 110), listen(WEB, 300, begins=False), listen(WEB, 400, begins=False))
    times = (105, 350, 450)
    flows = [flow(WEB, first_ns, socket=first_ns) for first_ns in times]
    facts = sockets(listens, *flows)
    assert [facts.is_self_hosted(each) for each in flows] == [True, True, False]


def test_a_listener_that_was_there_before_it_was_told_of_does_not_matter(sockets: Build) -> None:
    """One that the command inherited: only its end is recorded."""
    assert not sockets((listen(WEB, 300, begins=False),), made := flow(WEB)).is_self_hosted(made)


@pytest.mark.parametrize("first_ns", [50, 200, 500])
def test_what_met_nobody_is_the_runs_own_if_it_ever_listens_there(first_ns: int, sockets: Build) -> None:
    listens = (listen(WEB, 100), listen(WEB, 300, begins=False))
    refused, elsewhere = attempt(WEB, first_ns), attempt("tcp://127.0.0.1:9", first_ns)
    facts = sockets(listens, refused, elsewhere)
    assert facts.is_self_hosted(refused)
    assert not facts.is_self_hosted(elsewhere)


def test_a_socket_that_found_another_server_at_its_second_attempt(sockets: Build) -> None:
    refused, made = attempt("tcp://127.0.0.1:9", 50), flow(WEB, 200)
    assert sockets((listen(WEB),), refused, made).is_self_hosted(made)
    assert not sockets((listen(WEB, 300),), refused, made).is_self_hosted(made)


def test_who_waits_for_a_server_with_one_socket(sockets: Build) -> None:
    waited = flow(WEB, 50, connects=3, errors={"ECONNREFUSED": 2})
    assert sockets((listen(WEB, 100),), waited).is_self_hosted(waited)


def test_who_waits_for_a_unix_server_of_the_run_meets_nobody_else(sockets: Build) -> None:
    refused, made, foreign = attempt(PATH, 50), flow(PATH, 200, socket=6, peer=PROCESS), flow(PATH, 300, socket=7)
    facts = sockets((), refused, made, foreign)
    assert [facts.is_self_hosted(each) for each in (refused, made, foreign)] == [True, True, False]
    assert not sockets((), refused).is_self_hosted(refused)


@pytest.mark.parametrize("first_ns", [50, 200])
def test_a_name_for_datagrams_holds_for_the_whole_run(first_ns: int, sockets: Build) -> None:
    """An answer may be recorded before the question that has the name."""
    sent, to_path = (flow(place, first_ns, connects=0, established=0) for place in (METRICS, PATH))
    facts = sockets((listen(METRICS), listen(PATH)), sent, to_path)
    assert facts.is_self_hosted(sent)
    assert facts.is_self_hosted(to_path)


@pytest.mark.parametrize(
    ("listener", "endpoint", "local", "own"),
    [
        ("tcp://0.0.0.0:80", "tcp://127.0.0.1:80", False, True),
        ("tcp://[::]:80", "tcp://127.0.0.9:80", False, True),
        ("tcp://[::]:80", "tcp://[::1]:80", False, True),
        ("tcp://0.0.0.0:80", "tcp://192.0.2.1:80", True, True),
        ("tcp://0.0.0.0:80", "tcp://192.0.2.1:80", False, False),
        ("tcp://[::]:80", "tcp://[2001:db8::1]:80", True, True),
        ("tcp://[::]:80", "tcp://[2001:db8::1]:80", False, False),
        ("tcp://192.0.2.1:80", "tcp://192.0.2.1:80", False, True),
        ("tcp://192.0.2.1:80", "tcp://127.0.0.1:80", True, False),
        ("tcp://0.0.0.0:80", "udp://127.0.0.1:80", True, False),
        ("tcp://0.0.0.0:80", "tcp://127.0.0.1:81", True, False),
    ],
)
def test_a_wildcard_stands_for_all_addresses_of_the_machine(
    listener: str, endpoint: str, local: bool, own: bool, sockets: Build
) -> None:
    assert sockets((listen(listener),), made := flow(endpoint, local=local)).is_self_hosted(made) == own


def test_an_address_is_somebody_elses_in_another_network(sockets: Build) -> None:
    inside = flow(WEB, prefixes=(PING,))
    outside = flow(WEB, socket=6, network=OUTSIDE)
    facts = sockets((listen(WEB),), inside, outside)
    assert [facts.is_self_hosted(each) for each in (inside, outside)] == [True, False]
    assert [facts.identify(each).protocol for each in (inside, outside)] == ["redis", None]


def test_one_socket_that_says_something_names_the_others_of_its_endpoint(sockets: Build) -> None:
    silent, speaks = flow(WEB), flow(WEB, 300, socket=6, prefixes=(PING,))
    facts = sockets((), silent, speaks)
    assert facts.identify(silent) == facts.identify(speaks)
    assert facts.identify(silent).protocol == "redis"


def test_a_sockets_own_bytes_name_it(sockets: Build) -> None:
    """One port is several servers, one after the other."""
    spoken = {200: GET, 300: PING, 400: STARTUP, 500: GET}
    flows = [flow(RANDOM, ns, socket=ns, prefixes=(first,)) for ns, first in spoken.items()]
    facts = sockets((), *flows)
    names = [facts.identify(each).name for each in flows]
    assert names == [f"unknown:{RANDOM}", "redis", "postgres", f"unknown:{RANDOM}"]
    assert [facts.identify(each).protocol for each in flows] == ["http", "redis", "postgres", "http"]


def test_a_socket_keeps_its_name_in_all_of_its_flows(sockets: Build) -> None:
    first = flow(RANDOM, 200, prefixes=(GET,))
    later = flow(RANDOM, 900, connects=0, established=0, spans=(7,))
    other = flow(RANDOM, 850, socket=6, prefixes=(PING,))
    facts = sockets((), first, later, other)
    assert [facts.identify(each).protocol for each in (first, later, other)] == ["http", "http", "redis"]


@pytest.mark.parametrize(
    ("first_ns", "protocol"), [(100, "http"), (299, "http"), (349, "http"), (351, "redis"), (500, "redis")]
)
def test_bytes_that_name_nothing_leave_it_to_the_nearest_in_time(first_ns: int, protocol: str, sockets: Build) -> None:
    spoken = flow(RANDOM, 200, prefixes=(GET,)), flow(RANDOM, 400, socket=6, prefixes=(PING,))
    in_use = replace(spoken[0], first_ns=300, spans=(SpanId(8),), prefixes=(), connects=0, established=0)
    unclear = flow(RANDOM, first_ns, socket=7, prefixes=(b"??".hex(),))
    refused = attempt(RANDOM, first_ns, socket=8)
    facts = sockets((), *spoken, in_use, unclear, refused)
    assert [facts.identify(each).protocol for each in (unclear, refused)] == [protocol, protocol]


def test_a_server_of_the_run_does_not_name_an_external_one(sockets: Build) -> None:
    listens = listen(RANDOM, 100), listen(RANDOM, 300, begins=False)
    own, external = flow(RANDOM, 200, prefixes=(PING,)), flow(RANDOM, 400, socket=6)
    facts = sockets(listens, own, external)
    assert [facts.identify(each).name for each in (own, external)] == ["redis", f"unknown:{RANDOM}"]


def test_the_rule_for_a_port_comes_before_bytes(sockets: Build) -> None:
    facts = sockets((), made := flow("tcp://127.0.0.1:6379", prefixes=(GET,)))
    assert (facts.identify(made).name, facts.identify(made).protocol) == ("redis", "http")


def test_a_datagram_socket_has_a_name_at_each_endpoint(sockets: Build) -> None:
    first, second = (flow(f"udp://127.0.0.1:{port}", connects=0, established=0) for port in (8125, 53))
    facts = sockets((), first, second)
    assert [facts.identify(each).name for each in (first, second)] == ["statsd", "dns"]


@pytest.mark.parametrize(
    ("listener", "own"),
    [
        ("tcp://127.0.0.1:8000", True),
        ("tcp://[::1]:8000", True),
        ("tcp://127.0.0.2:8000", False),
        ("tcp://127.0.0.1:8001", False),
    ],
)
def test_a_refused_attempt_at_localhost_is_the_runs_own_if_it_listens_at_either_address(
    listener: str, own: bool, sockets: Build
) -> None:
    refused = [attempt(f"tcp://{host}:8000", socket=socket) for socket, host in enumerate(("[::1]", "127.0.0.1"))]
    facts = sockets((listen(listener, 900),), *refused)
    assert [facts.is_self_hosted(each) for each in refused] == [own, own]


def test_a_connection_at_localhost_is_the_runs_own_at_the_same_address_only(sockets: Build) -> None:
    made = flow("tcp://[::1]:8000")
    assert not sockets((listen(WEB),), made).is_self_hosted(made)


def test_who_opened_a_socket(sockets: Build) -> None:
    """The flow that connected it; else the first that used it."""
    used = flow(WEB, 100, connects=0, established=0)
    made, again = flow(WEB, 200, spans=(7,)), flow(WEB, 300, spans=(SpanId(8),))
    unconnected = [flow(METRICS, first_ns, socket=6, connects=0, spans=(first_ns,)) for first_ns in (120, 110)]
    facts = sockets((), again, made, used, *unconnected)
    openers = {named.flow.first_ns: named.opener for named in facts.named_flows()}
    assert openers[again.first_ns] == openers[used.first_ns] == made
    assert openers[120] == unconnected[1]


def hosts_of(facts: Sockets, *flows: Flow) -> list[str | None]:
    return [facts.identify(each).host for each in flows]


def test_a_sockets_own_bytes_name_its_host_in_all_of_its_flows(sockets: Build) -> None:
    before, says = flow(API, 200), flow(API, 210, connects=0, spans=(SpanId(7),), host="api.example.com")
    facts = sockets((), before, says, names=(answer("cdn.example.net", 100),))
    assert hosts_of(facts, before, says) == ["api.example.com"] * 2


def test_a_flow_may_have_a_name_of_its_own(sockets: Build) -> None:
    """A connection to a proxy carries requests to several hosts."""
    flows = [flow(API, ns, spans=(SpanId(ns),), host=host) for ns, host in ((200, "a"), (300, ""), (400, "b"))]
    assert hosts_of(sockets((), *flows), *flows) == ["a", "a", "b"]


def test_parts_of_a_flow_keep_its_host(sockets: Build) -> None:
    parts = flow(API, 200), flow(API, 210, connects=0, established=0, host="api.example.com")
    (named,) = sockets((), *parts).named_flows()
    assert (named.flow.host, named.service.host) == ("api.example.com",) * 2


def test_without_bytes_the_last_answer_before_the_connection_names_its_host(sockets: Build) -> None:
    """A connection keeps its name, also if the address gets another one."""
    names = answer("a.example.com", 100), answer("b.example.com", 300)
    first, second = flow(API, 200), flow(API, 400, socket=6)
    later = replace(first, first_ns=500, spans=(SpanId(7),), connects=0, established=0)
    facts = sockets((), first, second, later, names=names)
    assert hosts_of(facts, first, second, later) == ["a.example.com", "b.example.com", "a.example.com"]


@pytest.mark.parametrize("known", ["bytes", "answer"])
def test_what_is_known_later_names_an_endpoint_that_has_no_name_else(known: str, sockets: Build) -> None:
    refused = attempt(API, 200)
    says = flow(API, 300, socket=6, host="api.example.com" if known == "bytes" else "")
    names = (answer("api.example.com", 400, process=2),) if known == "answer" else ()
    facts = sockets((), refused, says, names=names)
    assert hosts_of(facts, refused, says) == ["api.example.com"] * 2
    assert {facts.identify(each).name for each in (refused, says)} == {"unknown:https://api.example.com"}


def test_the_bytes_of_another_server_name_no_host(sockets: Build) -> None:
    """At another port, in another network namespace, or one of the run itself."""
    says = flow(RANDOM, host="api.example.com")
    others = [
        flow("tcp://127.0.0.1:49154", socket=6),
        flow(RANDOM, socket=7, network=OUTSIDE),
        flow(RANDOM, 400, socket=8),
    ]
    facts = sockets((listen(RANDOM, 100), listen(RANDOM, 300, begins=False)), says, *others)
    assert hosts_of(facts, says, *others) == ["api.example.com", None, None, None]


def test_a_unix_socket_is_at_no_host(sockets: Build) -> None:
    docker = flow("unix:///run/docker.sock", host="docker", prefixes=(GET,))
    assert hosts_of(sockets((), docker), docker) == [None]


def test_a_host_with_several_addresses_is_one_service(sockets: Build) -> None:
    names = answer("api.example.com", 100), answer("api.example.com", 100, "93.184.216.35")
    flows = flow(API, prefixes=(CLIENT_HELLO,)), flow(API_TOO, socket=6), attempt(API_TOO, 300, socket=7)
    facts = sockets((), *flows, names=names)
    assert {facts.identify(each).name for each in flows} == {"unknown:https://api.example.com"}


def test_the_bytes_of_another_address_of_the_host_identify_the_protocol(sockets: Build) -> None:
    names = answer("es.internal", 100), answer("es.internal", 100, "93.184.216.35")
    spoken, refused = flow("tcp://93.184.216.34:4711", prefixes=(GET,)), attempt("tcp://93.184.216.35:4711", socket=6)
    facts = sockets((), spoken, refused, names=names)
    assert [facts.identify(each).name for each in (spoken, refused)] == ["unknown:http://es.internal:4711"] * 2
    assert facts.identify(refused).protocol == "http"


def test_a_server_of_the_run_keeps_its_address(sockets: Build) -> None:
    """It stands in for the host that its clients name."""
    made = flow(WEB, prefixes=(GET,), host="api.example.com")
    found = sockets((listen(WEB),), made).identify(made)
    assert (found.name, found.host) == (f"unknown:{WEB}", "api.example.com")


REFUSED = (
    Refused("kafka", "127.0.0.0/8", 49000, 49999, ("tcp",)),
    Refused("billing", "127.0.0.1/32", 49153, 49153, ("tcp",)),
    Refused("store", path="/run/store.sock"),
    Refused("metrics", "127.0.0.0/8", 9700, 9799, ("udp",)),
    Refused("metrics", "::1/128", 9700, 9799, ("udp",)),
    Refused("", "127.0.0.1/32", 9725, 9725, ("tcp", "udp"), excepted=True),
)


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (RANDOM, "billing"),
        ("tcp://127.0.0.2:49153", "kafka"),
        ("unix:///run/store.sock", "store"),
        ("tcp://127.0.0.1:9700", "unknown:tcp://127.0.0.1:9700"),
        ("tcp://10.0.0.1:49153", "unknown:tcp://10.0.0.1:49153"),
        ("unix:///run/other.sock", "unknown:unix:///run/other.sock"),
        ("tcp://127.0.0.1:6379", "redis"),  # a rule names it
    ],
)
def test_an_attempt_at_a_refused_endpoint_has_the_refused_services_name(
    sockets: Build, endpoint: str, name: str
) -> None:
    made = sockets((), attempt(endpoint), refused=REFUSED)
    assert [one.service.name for one in made.named_flows()] == [name]


def test_what_the_run_hosts_at_a_refused_endpoint_has_its_own_name(sockets: Build) -> None:
    made = sockets((listen(RANDOM),), flow(RANDOM), refused=REFUSED)
    assert [one.service.name for one in made.named_flows()] == [f"unknown:{RANDOM}"]


def datagrams(endpoint: str) -> Flow:
    """What was sent; the sender does not know whether it arrived."""
    return flow(endpoint, connects=0, established=0)


@pytest.mark.parametrize(
    ("endpoint", "name", "lost"),
    [
        ("udp://127.0.0.1:9700", "metrics", True),
        ("udp://0.0.0.0:9700", "metrics", True),
        ("udp://[::]:9700", "metrics", True),
        ("udp://127.0.0.1:9725", "unknown:udp://127.0.0.1:9725", False),
        ("udp://127.0.0.1:49153", "unknown:udp://127.0.0.1:49153", False),
        ("udp://10.0.0.1:9700", "unknown:udp://10.0.0.1:9700", False),
        (RANDOM, "billing", False),
    ],
)
def test_datagrams_to_a_refused_endpoint_are_lost(sockets: Build, endpoint: str, name: str, lost: bool) -> None:
    (found,) = sockets((), datagrams(endpoint), refused=REFUSED).named_flows()
    assert (found.service.name, found.lost) == (name, lost)


def test_datagrams_to_an_endpoint_without_a_rule_are_lost_if_everything_is_refused(sockets: Build) -> None:
    made = sockets((), datagrams("udp://10.0.0.1:514"), refused=(Refused("", protocols=("tcp", "udp")),))
    assert [(one.service.name, one.lost) for one in made.named_flows()] == [("unknown:udp://10.0.0.1:514", True)]


def test_datagrams_to_a_server_of_the_run_are_not_lost(sockets: Build) -> None:
    made = sockets((listen("udp://127.0.0.1:9700"),), datagrams("udp://127.0.0.1:9700"), refused=REFUSED)
    assert [one.lost for one in made.named_flows()] == [False]
