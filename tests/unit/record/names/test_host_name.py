"""Which texts are names of hosts, and how records write them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.names.name import host_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("db", "db"),
        ("API.Example.com", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("my_project-db_1", "my_project-db_1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("3com.com", "3com.com"),
        ("1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa"),
        ("localhost.example.com", "localhost.example.com"),
        (f"{'a' * 63}.b", f"{'a' * 63}.b"),
        ("a." * 126 + "b", "a." * 126 + "b"),  # 253 characters
    ],
)
def test_a_name_is_written_in_one_form(text: str, name: str) -> None:
    assert host_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        ".a",
        "a..",
        "localhost",
        "LocalHost.",
        "db.localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "10.0x1",
        "0xdb",
        "::1",
        "[::1]",
        "fe80::1%eth0",
        "a b",
        "user@a",
        "a:80",
        "a/b",
        "*.a",
        "bücher.example",
        "\u212aelvin",  # KELVIN SIGN, whose lower case is k
        "a\n",
        "\udc80",
        f"{'a' * 64}.b",
        "a." * 127 + "b",
    ],
)
def test_other_texts_are_no_names(text: str) -> None:
    assert host_name(text) == ""


@given(st.ip_addresses())
def test_no_address_is_a_name(address: IPv4Address | IPv6Address) -> None:
    assert host_name(str(address)) == host_name(address.exploded) == ""


@given(st.one_of(st.text(), st.text("ab.-_0xX9\u212a", max_size=12)))
def test_a_name_is_its_own_form_and_has_no_other_characters(text: str) -> None:
    name = host_name(text)
    assert host_name(name) == name
    assert re.fullmatch("[a-z0-9._-]*", name)
