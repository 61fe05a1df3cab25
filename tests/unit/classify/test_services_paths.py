"""Paths of HTTP/1 requests, from the first bytes of sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.classify.services.paths import LONGEST, RequestPath, begins_with, first_path, path_in
from tracer.classify.services.protocols.web import http

METHODS = "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"


@pytest.mark.parametrize(
    ("send", "path"),
    [
        (b"GET / HTTP/1.1\r\n", RequestPath("/", False)),
        (b"POST /_bulk HTTP", RequestPath("/_bulk", False)),
        (b"POST /_bulk?refresh=true HTTP/1.1", RequestPath("/_bulk?refresh=true", False)),
        (b"GET /api/orders\r\n", RequestPath("/api/orders", False)),  # HTTP/0.9
        (b"DELETE /api/orde", RequestPath("/api/orde", True)),
        (b"OPTIONS /12345678", RequestPath("/12345678", True)),
        (b"GET /short", None),  # the rest may be in another send
        (b"GET http://a.example.com/b HTTP/1", RequestPath("/b", False)),
        (b"GET https://a:8080/b/c/d/e/f/g/h", RequestPath("/b/c/d/e/f/g/h", True)),
        (b"GET http://a-long-name.example.co", None),
        (b"GET http://a.example.com/b", None),
        (b"GET http://a?/b HTTP/1.1", None),
        (b"GET /caf\xc3\xa9 HTTP/1.1", RequestPath("/caf\u00c3\u00a9", False)),
        (b"OPTIONS * HTTP/1.1\r\n", None),
        (b"CONNECT a.example.com:443 HTTP/1.1", None),
        (b"PRI * HTTP/2.0\r\n", None),
        (b'{"path": "GET / HTTP/1.1"}', None),
        (b"", None),
    ],
)
def test_the_path_of_a_request(send: bytes, path: RequestPath | None) -> None:
    assert path_in(send) == path


@pytest.mark.parametrize("method", METHODS)
def test_the_longest_prefix_is_seen_with_each_method(method: str) -> None:
    prefix = "/" + "x" * (LONGEST - 1)
    path = path_in(f"{method} {prefix}/more HTTP/1.1".encode()[:32])
    assert path is not None
    assert begins_with(path, [prefix])


@pytest.mark.parametrize(
    ("text", "is_cut", "prefixes", "begins"),
    [
        ("/api/users", False, ["/api/orders", "/api/us"], True),
        ("/api/users", False, ["/"], True),
        ("/api/users", False, ["/api/users/"], False),
        ("/api/users", True, ["/api/users/"], None),
        ("/api/users", True, ["/api/orders"], False),
        ("/api/users", True, ["/api/users/", "/api"], True),
        ("/API/users", False, ["/api"], False),
    ],
)
def test_what_a_path_begins_with(text: str, is_cut: bool, prefixes: list[str], begins: bool | None) -> None:
    assert begins_with(RequestPath(text, is_cut), prefixes) is begins


def test_the_first_request_of_several_sends() -> None:
    assert first_path([b'{"a": 1}', b"GET /a HTTP/1.1", b"GET /b HTTP/1.1"]) == RequestPath("/a", False)
    assert first_path([]) is None


@given(st.one_of(st.binary(max_size=32), st.binary(max_size=20).map(lambda rest: b"GET /" + rest)))
def test_only_requests_have_paths(send: bytes) -> None:
    path = path_in(send)
    assert path is None or (http(send) and path.text.startswith("/"))
