"""The kernel's features, by asking for them and by using them: both give one answer."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing

import pytest

from kernel.traced import Peers, ended, script
from tracer.errors import SvcTraceError
from tracer.record.capture.bpf import features, libbpf
from tracer.record.capture.bpf.libbpf import SENDS, LibbpfBackend, load
from tracer.record.capture.bpf.library import Library
from tracer.record.capture.checks import Check
from tracer.record.capture.protocol import Kind, SocketEvent

pytestmark = [pytest.mark.kernel, pytest.mark.probes]

EVERY_KIND = """
for address in P.tcp, P.tcp6: create_connection(address).send(b'1')
s = socket(type=SOCK_DGRAM); s.sendto(b'22', P.udp)
for kind, path in (SOCK_STREAM, P.stream), (SOCK_SEQPACKET, P.packets), (SOCK_DGRAM, P.datagrams):
    u = socket(AF_UNIX, kind); u.connect(path); u.send(b'333')
file = os.open(sys.executable, os.O_RDONLY)
t = create_connection(P.tcp); assert os.sendfile(t.fileno(), file, 0, 13) == 13
u = socket(AF_UNIX); u.connect(P.stream); assert os.sendfile(u.fileno(), file, 0, 17) == 17
"""
SENT = [1, 1, 2, 3, 3, 3, 13, 17]


def _works(way: str, peers: Peers) -> bool:
    try:
        loaded = LibbpfBackend(way).start()
    except SvcTraceError as error:
        if error.slug != "load-failed":
            raise
        return False
    with closing(loaded), ended(loaded, *script(EVERY_KIND, peers)) as command:
        events = [event for event in command.session.drain() if isinstance(event, SocketEvent)]
        assert [event.result for event in events if event.kind == Kind.SEND] == SENT
        assert command.session.lost() == 0
    return True


def test_what_the_kernel_says_it_has_works(peers: Peers, require: Callable[[str], None]) -> None:
    require("ipv6")
    said = {way: check.answer for way, check in zip(SENDS, features.send_checks(Library()), strict=True)}
    assert said == {way: _works(way, peers) for way in SENDS}


def test_the_best_way_is_taken() -> None:
    library = Library()
    answers = zip(SENDS, features.send_checks(library), strict=True)
    best = next(way for way, check in answers if check.answer)
    loaded, sends = load(library, None)
    library.close(loaded)
    assert sends == best


def test_a_tracepoint_that_no_kernel_has() -> None:
    check = features.tracepoint(Library(), "sock_send_pigeon")
    assert (check.answer, check.detail) == (False, "this kernel has none")


def test_a_kernel_without_any_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No such kernel is at hand: this one gives the answers of one that has nothing."""
    monkeypatch.delenv("SVC_TRACE_SENDS", raising=False)
    missing = [Check(name, False, f"no {name} here", "another kernel") for name in SENDS]
    monkeypatch.setattr(features, "send_checks", lambda library: iter(missing))

    def refuse(library: Library, sends: str, *, causes: bool) -> int:
        raise OSError(errno.ESRCH, "load")

    monkeypatch.setattr(libbpf, "_open", refuse)
    with pytest.raises(SvcTraceError) as caught:
        LibbpfBackend().start()
    assert caught.value.slug == "kernel-lacks"
    assert all(check.detail in caught.value.message for check in missing)


def test_who_may_load_nothing_cannot_tell() -> None:
    """In a child: privileges that were given up do not come back."""
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        library = Library()
        answers = [features.fentry(library).answer, features.task_storage(library).answer]
        os._exit(0 if answers == [None, None] else 1)
    assert os.waitpid(child, 0)[1] == 0
