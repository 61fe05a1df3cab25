"""The names and addresses in answers of name servers and of systemd-resolved."""

from __future__ import annotations

import random
from ipaddress import ip_address
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.names.answers import names_in
from tracer.record.names.name import host_name

RECORDED_SIZE: Final = 2048  # bytes of a read that the probes emit

ALIAS: Final = ("cdn.example.com. 300 IN CNAME d111.cloudfront.net.", "d111.cloudfront.net. 60 IN A 93.184.216.34")

# What libnss_resolve 252 read: a name, an alias of d111.cloudfront.net, and a name that does not exist.
RESOLVED: Final = (
    b'{"parameters":{"addresses":[{"family":2,"address":[93,184,216,35]},{"family":2,"address":[93,184,216,34]},'
    b'{"family":10,"address":[38,6,40,0,2,32,0,1,0,0,0,0,0,0,0,1]}],"name":"api.example.com","flags":8388609}}\0'
)
RESOLVED_ALIAS: Final = (
    b'{"parameters":{"addresses":[{"family":10,"address":[38,6,40,0,2,32,0,1,0,0,0,0,0,0,0,1]},'
    b'{"family":2,"address":[93,184,216,34]}],"name":"d111.cloudfront.net","flags":8388609}}\0'
)
RESOLVED_ERROR: Final = b'{"error":"io.systemd.Resolve.DNSError","parameters":{"rcode":3}}\0'


def response(*answers: str, question: str = "api.example.com", kind: str = "A") -> dns.message.Message:
    """A response with these resource records, as in a zone file."""
    made = dns.message.make_response(
        dns.message.make_query(question, kind, use_edns=True, id=1), recursion_available=True
    )
    for answer in answers:
        name, ttl, network, rdtype, data = answer.split(maxsplit=4)
        made.answer.append(dns.rrset.from_text(name, int(ttl), network, rdtype, data))
    return made


def wire(*answers: str, question: str = "api.example.com", kind: str = "A") -> bytes:
    return response(*answers, question=question, kind=kind).to_wire(max_size=65535)


def with_length(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


class TestDns:
    @pytest.mark.parametrize(
        ("data", "pairs"),
        [
            (wire("api.example.com. 60 IN A 10.0.0.1"), [("api.example.com", "10.0.0.1")]),
            (
                wire(
                    "API.example.com. 60 IN A 10.0.0.1", "API.example.com. 60 IN A 10.0.0.2", question="API.Example.com"
                ),
                [("api.example.com", "10.0.0.1"), ("api.example.com", "10.0.0.2")],
            ),
            (
                wire("a.b. 60 IN AAAA 2606:2800:220:1:0:0:0:1", question="a.b", kind="AAAA"),
                [("a.b", "2606:2800:220:1::1")],
            ),
            (wire("a.b. 60 IN AAAA ::ffff:10.0.0.1", question="a.b", kind="AAAA"), [("a.b", "10.0.0.1")]),
            (wire(*ALIAS, question="cdn.example.com"), [("cdn.example.com", "93.184.216.34")]),
            (wire("db. 60 IN A 172.18.0.2", question="db"), [("db", "172.18.0.2")]),
            (
                wire("a.b. 60 IN TXT 10.0.0.1", "a.b. 60 IN A 10.0.0.2", question="a.b", kind="ANY"),
                [("a.b", "10.0.0.2")],
            ),
            (wire("a.b. 60 CH A b. 1", question="a.b"), []),
            (wire(question="a.b"), []),
            (wire("1.0.0.10.in-addr.arpa. 60 IN PTR a.b.", question="1.0.0.10.in-addr.arpa", kind="PTR"), []),
            (wire("localhost. 60 IN A 127.0.0.1", question="localhost"), []),
            (wire("x\\.y.b. 60 IN A 10.0.0.1", question="x\\.y.b"), []),
            (wire(". 60 IN A 10.0.0.1", question="."), []),
        ],
    )
    def test_the_asked_name_and_every_address(self, data: bytes, pairs: list[tuple[str, str]]) -> None:
        assert [*names_in(data)] == [*names_in(with_length(data))] == pairs

    def test_several_messages_of_tcp(self) -> None:
        first, second = wire(*ALIAS, question="cdn.example.com"), wire("b. 60 IN A 10.0.0.2", question="b")
        assert names_in(with_length(first) + with_length(second) + with_length(first)) == (
            ("cdn.example.com", "93.184.216.34"),
            ("b", "10.0.0.2"),
        )

    @pytest.mark.parametrize("ident", [0, 1, 0x8180, 0x7B22, 0xFFFF])
    def test_any_id(self, ident: int) -> None:
        """The id may look like a length, like flags or like the beginning of JSON."""
        message = response("a.b. 60 IN A 10.0.0.1", question="a.b")
        size = len(message.to_wire())
        for message.id in (ident, size, size - 2):
            assert names_in(message.to_wire()) == names_in(with_length(message.to_wire())) == (("a.b", "10.0.0.1"),)

    def test_what_is_no_successful_response(self) -> None:
        failed, several = response("a.b. 60 IN A 10.0.0.1", question="a.b"), response("a.b. 60 IN A 10.0.0.1")
        failed.set_rcode(dns.rcode.NXDOMAIN)
        several.question *= 2
        query = dns.message.make_query("a.b", "A")
        update = dns.update.UpdateMessage("b")
        update.add("a", 60, "A", "10.0.0.1")
        update.flags |= dns.flags.QR
        for message in (failed, several, query, update):
            assert names_in(message.to_wire()) == names_in(with_length(message.to_wire())) == ()

    def test_a_truncated_response(self) -> None:
        """Its TC flag says that there is more: what it contains is valid."""
        message = response("a.b. 60 IN A 10.0.0.1", question="a.b")
        message.flags |= dns.flags.TC
        assert names_in(message.to_wire()) == (("a.b", "10.0.0.1"),)

    def test_a_long_response(self) -> None:
        data = wire(*(f"a.b. 60 IN A 10.0.{at // 256}.{at % 256}" for at in range(500)), question="a.b")
        assert len(names_in(data)) == 500
        found = names_in(data[:RECORDED_SIZE])
        assert found == names_in(data)[: len(found)]
        assert len(found) == (RECORDED_SIZE - 12 - 9) // 16
        assert len(names_in(with_length(data)[:RECORDED_SIZE])) == len(found)

    @pytest.mark.parametrize("prefixed", [False, True])
    def test_every_cut(self, prefixed: bool) -> None:
        data = wire(*ALIAS, "d111.cloudfront.net. 60 IN A 93.184.216.35", question="cdn.example.com")
        data = with_length(data) if prefixed else data
        whole = names_in(data)
        assert {names_in(data[:size]) for size in range(len(data) + 1)} == {(), whole[:1], whole}

    def test_a_length_that_goes_too_far(self) -> None:
        data = wire("a.b. 60 IN A 10.0.0.1", question="a.b")
        at = data.index(bytes((0, 4, 10, 0, 0, 1)))
        assert names_in(data[:at] + b"\x00\x10" + data[at + 2 : at + 6]) == ()

    def test_pointers_in_a_circle(self) -> None:
        header = bytes.fromhex("0001 8180 0001 0001 0000 0000")
        assert names_in(header + bytes.fromhex("c00c 0001 0001") + bytes(40)) == ()
        assert names_in(header + bytes.fromhex("0161 00 0001 0001 c013 0001 0001") + bytes(40)) == ()


class TestResolved:
    def test_a_name(self) -> None:
        assert names_in(RESOLVED) == (
            ("api.example.com", "93.184.216.35"),
            ("api.example.com", "93.184.216.34"),
            ("api.example.com", "2606:2800:220:1::1"),
        )

    def test_an_alias_is_known_by_the_name_at_its_end(self) -> None:
        assert names_in(RESOLVED_ALIAS) == (
            ("d111.cloudfront.net", "2606:2800:220:1::1"),
            ("d111.cloudfront.net", "93.184.216.34"),
        )

    def test_several_replies(self) -> None:
        assert names_in(RESOLVED_ERROR + RESOLVED + RESOLVED_ALIAS) == names_in(RESOLVED) + names_in(RESOLVED_ALIAS)

    def test_every_cut(self) -> None:
        assert not any(names_in(RESOLVED[:size]) for size in range(len(RESOLVED)))

    @pytest.mark.parametrize(
        "reply",
        [
            RESOLVED_ERROR,
            b"{}\0",
            b"{\0",
            b"\0",
            b'{"parameters":null}\0',
            b'{"parameters":{"names":[{"ifindex":2,"name":"a.b"}],"flags":1}}\0',  # ResolveAddress
            b'{"parameters":{"name":"a.b","addresses":[{"family":2,"address":[93,184,216]}]}}\0',
            b'{"parameters":{"name":"a.b","addresses":[{"family":2,"address":[93,184,216,256]}]}}\0',
            b'{"parameters":{"name":"a.b","addresses":[{"family":2,"address":[-1,184,216,25]}]}}\0',
            b'{"parameters":{"name":"localhost","addresses":[{"family":2,"address":[127,0,0,1]}]}}\0',
            b'{"parameters":{"name":"127.0.0.1","addresses":[{"family":2,"address":[127,0,0,1]}]}}\0',
            b'{"parameters":{"name":"\xff","addresses":[{"family":2,"address":[127,0,0,1]}]}}\0',
            b'{"a":' + b"[" * 2000 + b"\0",
        ],
    )
    def test_nothing(self, reply: bytes) -> None:
        assert names_in(reply) == ()


SEEDS: Final = [
    wire(*ALIAS, question="cdn.example.com"),
    with_length(wire(*ALIAS, question="cdn.example.com")),
    wire("a.b. 60 IN AAAA 2606:2800:220:1::1", question="a.b", kind="AAAA"),
    RESOLVED,
]


def check(data: bytes) -> None:
    for name, address in names_in(data):
        assert name
        assert host_name(name) == name
        assert str(ip_address(address)) == address


@given(st.binary(max_size=100), st.sampled_from([b"", SEEDS[0][:12], SEEDS[1][:14], SEEDS[0][:33], b'{"parameters":{']))
def test_any_bytes(data: bytes, before: bytes) -> None:
    check(before + data)


@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_changed_bytes(seed: bytes, chance: random.Random) -> None:
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    check(bytes(data))
