"""Names of unix sockets: in bytes, in all forms, and which are served."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tracer.errors import SvcTraceError
from tracer.record.refusal.inherited import inherited_names
from tracer.record.refusal.names import encoded, forms, is_served, served_names, without


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/tmp/a", b"/tmp/a"),
        ("@a", b"\0a"),
        ("@", b"\0"),
        ("x" * 108, b"x" * 108),
        ("/tmp/\udcff", b"/tmp/\xff"),
    ],
)
def test_bytes(name: str, expected: bytes) -> None:
    assert encoded(name) == expected


@pytest.mark.parametrize("name", ["", "x" * 109, "@" + "x" * 108, "/tmp/a\0b", "\0a"])
def test_what_cannot_be_a_name(name: str) -> None:
    with pytest.raises(SvcTraceError) as caught:
        encoded(name)
    assert caught.value.slug == "bad-refusal"


def test_forms_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    linked = os.fsencode(tmp_path / "link" / "socket")
    assert forms(os.fsdecode(linked)) == {linked, os.fsencode(tmp_path / "socket")}
    assert forms("relative") == {b"relative"}
    long = str(tmp_path / "link").ljust(108, "/") + "x"
    with pytest.raises(SvcTraceError):
        forms(long)


def test_forms_below_run() -> None:
    both = {b"/run/x.sock", b"/var/run/x.sock"}
    expected = both if os.path.realpath("/var/run") == "/run" else {b"/run/x.sock"}
    assert forms("/run/x.sock") == expected


def test_forms_of_an_abstract_name() -> None:
    assert forms("@a@b") == {b"\0a@b", b"\0a\0b"}


def test_a_form_of_an_exception_is_an_exception(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    names = {str(tmp_path / "socket"), str(tmp_path / "other")}
    assert without(names, [str(tmp_path / "link" / "socket")]) == {str(tmp_path / "other")}


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
def test_served(kind: socket.SocketKind, tmp_path: Path) -> None:
    path, abstract = str(tmp_path / "socket"), f"@{tmp_path}"
    with ExitStack() as stack:
        for address in (path, f"\0{tmp_path}"):
            server = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            server.bind(address)
            if kind != socket.SOCK_DGRAM:
                assert address[1:] not in {name[1:] for name in served_names()}  # it does not listen yet
                server.listen()
        assert {path, abstract} <= served_names()
        assert is_served(path)
        assert is_served(abstract)
    assert not {path, abstract} & served_names()
    assert not is_served(path)  # the file is still there
    assert not is_served(abstract)
    assert not is_served(str(tmp_path / "missing"))
    assert not is_served(str(tmp_path / "socket" / "below"))


def test_inherited(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as path, socket.socket(socket.AF_UNIX) as abstract:
        path.bind(str(tmp_path / "socket"))
        abstract.bind(f"\0{tmp_path}")
        names = {str(tmp_path / "socket"), f"@{tmp_path}"}
        assert not inherited_names() & names
        for one in (path, abstract):
            one.set_inheritable(True)
        assert names <= inherited_names()
