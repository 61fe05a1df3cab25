"""The layout of the kernel's records, compared with the compiled probes; addresses and names decoded."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

import pytest
from btf_types import Btf
from hypothesis import given
from hypothesis import strategies as st
from plain import plain

from tracer.record.capture.bpf import wire
from tracer.record.capture.bpf.programs import OBJECT
from tracer.record.capture.bpf.wire import FIELDS, decode, decode_endpoint, decode_path, layout
from tracer.record.capture.protocol import UNKNOWN_CAUSE, Kind, SocketEvent, TaskEvent
from tracer.trace.endpoint import Endpoint


@pytest.fixture(scope="module")
def btf() -> Btf:
    return Btf.of_object(OBJECT)


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_those_of_the_compiled_probes(name: str, btf: Btf) -> None:
    offset, fields = 0, []
    for field, form in FIELDS[name]:
        size = struct.calcsize("=" + form)
        fields.append((field, offset, size))
        offset += size
    assert [*fields, ("", layout(name).size, 0)] == btf.members(name)


def test_kinds_and_flags_are_those_of_the_compiled_probes(btf: Btf) -> None:
    assert btf.values("svc_kind") == {f"SVC_{kind.name}": kind.value for kind in Kind}
    assert btf.values("svc_flag") == {
        "SVC_DETAIL": wire._DETAIL,
        "SVC_WHOLE": wire._WHOLE,
        "SVC_LOCAL": wire._LOCAL,
    }


def record(name: str, event: Mapping[str, object], **fields: object) -> memoryview:
    """A record as the probes write it, 8 bytes into a buffer; what is not named is zero."""

    def pack(name: str, values: Mapping[str, object]) -> bytes:
        zero = {form: b"" if form.endswith("s") else 0 for _, form in FIELDS[name]}
        return layout(name).pack(*(values.get(field, zero[form]) for field, form in FIELDS[name]))

    head = pack("svc_event", event)
    return memoryview(bytes(8) + (head if name == "svc_event" else pack(name, {"event": head} | fields)))


@pytest.mark.parametrize(("flags", "local"), [(0, False), (4, True)])
def test_a_bare_event_is_decoded(flags: int, local: bool) -> None:
    data = record(
        "svc_event",
        {
            "ns": 11,
            "kind": Kind.CONNECT,
            "process": 3,
            "tid": 77,
            "socket": 5,
            "network": 9,
            "family": socket.AF_INET,
            "protocol": socket.IPPROTO_TCP,
            "peer": socket.inet_aton("10.0.0.1"),
            "port": 5432,
            "flags": flags,
            "cause_ns": 8,
            "cause_process": 2,
            "cause_tid": 6,
            "unsure_from_ns": 4,
            "unsure_to_ns": 5,
        },
    )
    assert decode(data, 8) == (
        plain(SocketEvent)(
            *(11, Kind.CONNECT, 3, 77, 5, 9, Endpoint("tcp", "10.0.0.1", 5432), 0),
            local=local,
            cause_ns=8,
            cause_process=2,
            cause_tid=6,
            unsure_from_ns=4,
            unsure_to_ns=5,
        ),
        0,
    )


def test_a_send_is_decoded_with_its_tally() -> None:
    event = {"ns": 11, "kind": Kind.SEND, "flags": 5, "family": socket.AF_INET, "protocol": socket.IPPROTO_UDP}
    bytes_sent = {"result": 9, "head": b"abcdefgh", "head_len": 3, "tally": 17}
    event |= {"cause_ns": 8, "cause_process": 2, "cause_tid": 6, "unsure_from_ns": 4, "unsure_to_ns": 5}
    data = record("svc_socket_event", event | bytes_sent, prefix=b"prefix", prefix_len=4)
    expected = plain(SocketEvent)(
        *(11, Kind.SEND, 0, 0, 0, 0, Endpoint("udp", "0.0.0.0"), 9, b"abc", b"pref"),
        local=True,
        cause_ns=8,
        cause_process=2,
        cause_tid=6,
        unsure_from_ns=4,
        unsure_to_ns=5,
    )
    assert decode(data, 8) == (expected, 17)


@pytest.mark.parametrize(("flags", "since_ns"), [(1, 4), (3, 0)], ids=["announced", "whole"])
def test_a_connect_result_is_decoded(flags: int, since_ns: int) -> None:
    data = record(
        "svc_socket_event",
        {"ns": 11, "kind": Kind.CONNECT_RESULT, "process": 1, "tid": 7, "flags": flags, "family": socket.AF_UNIX}
        | {"cause_ns": UNKNOWN_CAUSE},
        since_ns=4,
        peer_pid=99,
        path=b"\0name\0rest",
        path_len=5,
        prefix=b"prefix",
        prefix_len=4,
    )
    expected = plain(SocketEvent)(
        11, Kind.CONNECT_RESULT, 1, 7, 0, 0, Endpoint("unix", path="@name"), 0, b"", b"pref", since_ns, 99
    )
    assert decode(data, 8) == (expected, 0)


@pytest.mark.parametrize("kind", [Kind.FORK, Kind.EXEC, Kind.EXIT, Kind.THREAD])
def test_a_task_event_is_decoded(kind: Kind) -> None:
    data = record(
        "svc_task_event",
        {"ns": 11, "kind": kind, "process": 2, "tid": 5, "result": 9},
        start_ns=10,
        parent=1,
        host_pid=1005,
        pid=4,
        pidns=6,
        comm=b"caf\xc3\xa9 \xff\0garbage",
    )
    assert decode(data, 8) == (plain(TaskEvent)(11, kind, 2, 5, 1, 4, 1005, 6, 10, "café �", 9), 0)


@pytest.mark.parametrize(
    ("family", "protocol", "peer", "endpoint"),
    [
        (socket.AF_INET, 6, "127.0.0.1", "tcp://127.0.0.1:80"),
        (socket.AF_INET, 17, "127.0.0.1", "udp://127.0.0.1:80"),
        (socket.AF_INET, 262, "127.0.0.1", "tcp://127.0.0.1:80"),  # MPTCP is TCP to everybody else
        (socket.AF_INET, 132, "127.0.0.1", "sctp://127.0.0.1:80"),
        (socket.AF_INET, 200, "127.0.0.1", "ip200://127.0.0.1:80"),
        (socket.AF_INET6, 6, "::1", "tcp://[::1]:80"),
        (socket.AF_INET6, 6, "2001:db8:0:0:0:0:0:1", "tcp://[2001:db8::1]:80"),
        (socket.AF_INET6, 17, "::ffff:10.1.2.3", "udp://10.1.2.3:80"),
    ],
)
def test_addresses_have_one_text_form(family: int, protocol: int, peer: str, endpoint: str) -> None:
    packed = socket.inet_pton(family, peer).ljust(16, b"\0")
    assert str(decode_endpoint(family, protocol, packed, 80, b"")) == endpoint


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/run/s.sock\0", "/run/s.sock"),
        (b"/run/s.sock", "/run/s.sock"),
        (b"/run/s.sock\0rest", "/run/s.sock"),
        (b"relative", "relative"),
        (b"\0abstract", "@abstract"),
        (b"\0abstract\0\0\0", "@abstract"),  # padded to sizeof(sockaddr_un), as some clients do
        (b"\0with\0NUL", "@with@NUL"),
        (b"\0", "@"),
        (b"", ""),
        (b"/caf\xc3\xa9/\xff", "/café/\udcff"),
        (b"x" * 108, "x" * 108),
    ],
)
def test_names_of_unix_sockets(path: bytes, name: str) -> None:
    assert decode_path(path) == name


@given(
    st.sampled_from([socket.AF_INET, socket.AF_INET6]),
    st.integers(0, 300),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 65535),
)
def test_every_address_is_an_endpoint(family: int, protocol: int, peer: bytes, port: int) -> None:
    parsed = Endpoint.parse(str(decode_endpoint(family, protocol, peer, port, b"")))
    assert parsed.port == port
    assert "%" not in parsed.host


@given(st.binary(max_size=108))
def test_every_path_is_an_endpoint(path: bytes) -> None:
    text = str(decode_endpoint(socket.AF_UNIX, 0, bytes(16), 0, path))
    assert Endpoint.parse(text) == Endpoint("unix", path=decode_path(path))
    assert "\0" not in text
