"""Unix sockets refused to a real tree: by programs where the kernel has them (Linux 6.7), otherwise by mounts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kernel.refusal.refused import CONNECT, bound, run, running
from tracer.errors import SvcTraceError
from tracer.record.invoker import Invoker
from tracer.record.launch import Child
from tracer.record.refusal.programs import MEANS, Means
from tracer.record.refusal.targets import Refusal

pytestmark = [pytest.mark.kernel]

KERNEL = tuple(map(int, os.uname().release.split(".")[:2]))
HAS_PROGRAMS = KERNEL >= (6, 7)
BY_MOUNTS = Means(unix=False)
WAYS = [pytest.param(MEANS[0], id="best"), pytest.param(BY_MOUNTS, id="mounts")]
NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Sockets:
    """Servers outside of the tree."""

    stream: str
    packets: str
    datagrams: str
    abstract: str

    @property
    def paths(self) -> tuple[str, ...]:
        return self.stream, self.packets, self.datagrams


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Sockets]:
    with ExitStack() as stack:
        stream, packets, datagrams = (str(tmp_path / kind) for kind in ("stream", "packets", "datagrams"))
        made = Sockets(stream, packets, datagrams, f"@{tmp_path}")
        bound(stack, socket.SOCK_STREAM, made.stream)
        bound(stack, socket.SOCK_SEQPACKET, made.packets)
        bound(stack, socket.SOCK_DGRAM, made.datagrams)
        bound(stack, socket.SOCK_STREAM, f"\0{made.abstract[1:]}")
        yield made


EVERY_KIND = """
report([connect(P["stream"]), connect(P["packets"], SOCK_SEQPACKET), connect(P["datagrams"], SOCK_DGRAM),
    send(P["datagrams"])])
"""


def every_kind(refusal: Refusal, sockets: Sockets, best: Means = MEANS[0]) -> object:
    names = {"stream": sockets.stream, "packets": sockets.packets, "datagrams": sockets.datagrams}
    return run(refusal, EVERY_KIND, best=best, **names).result


@pytest.mark.parametrize("best", WAYS)
def test_every_kind(best: Means, sockets: Sockets) -> None:
    assert every_kind(Refusal(paths=frozenset(sockets.paths)), sockets, best) == ["ECONNREFUSED"] * 4
    assert every_kind(Refusal(paths=frozenset({sockets.stream})), sockets, best) == ["ECONNREFUSED", "ok", "ok", "ok"]


def test_this_kernel_has_what_kernels_of_its_version_have(sockets: Sockets) -> None:
    met = run(Refusal(paths=frozenset({sockets.stream, sockets.abstract})), CONNECT, at=sockets.stream)
    assert met.result == "ECONNREFUSED"
    assert met.refusing.hidden == (set() if HAS_PROGRAMS else {sockets.stream})
    assert met.refusing.not_refusable == (set() if HAS_PROGRAMS else {sockets.abstract})
    assert met.counts == ({sockets.stream: 1} if HAS_PROGRAMS else {})


def test_an_abstract_name(sockets: Sockets) -> None:
    met = run(Refusal(paths=frozenset({sockets.abstract})), CONNECT, at=sockets.abstract)
    assert met.result == ("ECONNREFUSED" if HAS_PROGRAMS else "ok")
    assert (met.refusing.not_refusable == set()) == HAS_PROGRAMS
    without_programs = run(Refusal(paths=frozenset({sockets.abstract})), CONNECT, at=sockets.abstract, best=BY_MOUNTS)
    assert without_programs.result == "ok"
    assert without_programs.refusing.not_refusable == {sockets.abstract}


def test_an_abstract_name_with_further_zeros(tmp_path: Path) -> None:
    """Reports write every NUL as `@`."""
    if not HAS_PROGRAMS:
        return
    with ExitStack() as stack:
        bound(stack, socket.SOCK_STREAM, f"\0{tmp_path}\0end")
        text = 'report(met(socket(AF_UNIX).connect, "\\0" + P["path"] + "\\0end"))'
        assert run(Refusal(paths=frozenset({f"@{tmp_path}@end"})), text, path=str(tmp_path)).result == "ECONNREFUSED"


def test_names_are_compared_to_their_end(tmp_path: Path) -> None:
    """Neither a longer path, nor what follows a path's NUL, nor an abstract name's shorter one."""
    names = [str(tmp_path / name) for name in ("sock", "socks", "soc")]
    text = """
        import ctypes, struct
        def connect_bytes(path, length):
            s, address = socket(AF_UNIX), struct.pack("=H", AF_UNIX) + path
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.connect(s.fileno(), address, length):
                return errno.errorcode[ctypes.get_errno()]
            return "ok"
        path = P["names"][0].encode()
        report([[connect(name) for name in P["names"]],
            connect_bytes(path + b"\\0rest", len(path) + 7),
            connect_bytes(path + b"longer", len(path) + 8), connect_bytes(path, len(path) + 2)])
    """
    with ExitStack() as stack:
        for name in names:
            bound(stack, socket.SOCK_STREAM, name)
        met = run(Refusal(paths=frozenset(names[:1])), text, names=names)
    assert met.result == [["ECONNREFUSED", "ok", "ok"], "ECONNREFUSED", "ENOENT", "ECONNREFUSED"]


def test_the_longest_names(tmp_path: Path) -> None:
    path, abstract = (f"{start}{tmp_path}/x".ljust(length, "x") for start, length in (("", 107), ("@", 108)))
    with ExitStack() as stack:
        bound(stack, socket.SOCK_STREAM, path)
        bound(stack, socket.SOCK_STREAM, f"\0{abstract[1:]}")
        assert run(Refusal(paths=frozenset({path})), CONNECT, at=path).result == "ECONNREFUSED"
        if HAS_PROGRAMS:
            assert run(Refusal(paths=frozenset({abstract})), CONNECT, at=abstract).result == "ECONNREFUSED"


@pytest.mark.parametrize("best", WAYS)
def test_a_path_through_a_link(best: Means, sockets: Sockets, tmp_path: Path) -> None:
    """The report has the one path, the client uses the other one."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    linked = str(link / "stream")
    for at in (linked, sockets.stream):
        assert run(Refusal(paths=frozenset({linked})), CONNECT, at=at, best=best).result == "ECONNREFUSED"


@pytest.mark.parametrize("best", WAYS)
def test_everything_but_exceptions(best: Means, sockets: Sockets) -> None:
    refusal = Refusal(everything=True, except_paths=frozenset({sockets.packets}))
    assert every_kind(refusal, sockets, best) == ["ECONNREFUSED", "ok", "ECONNREFUSED", "ECONNREFUSED"]


@pytest.mark.parametrize("best", WAYS)
def test_what_the_tree_serves(best: Means, tmp_path: Path) -> None:
    """At a path that is refused, but that no process served when the run began."""
    path = str(tmp_path / "own")
    text = """
        before = connect(P["at"])
        s = socket(AF_UNIX)
        s.bind(P["at"])
        s.listen()
        report([before, connect(P["at"])])
    """
    met = run(Refusal(paths=frozenset({path}), everything=True), text, at=path, best=best)
    assert met.result == ["ENOENT", "ok"]
    assert met.refusing.not_served == {path}


def test_a_socket_whose_server_has_ended_is_not_served(tmp_path: Path) -> None:
    """A server of the tree replaces it."""
    path = str(tmp_path / "left")
    with ExitStack() as stack:
        bound(stack, socket.SOCK_STREAM, path)
    text = """
        os.unlink(P["at"])
        s = socket(AF_UNIX)
        s.bind(P["at"])
        s.listen()
        report(connect(P["at"]))
    """
    met = run(Refusal(paths=frozenset({path})), text, at=path)
    assert met.result == "ok"
    assert met.refusing.not_served == {path}


def test_a_server_that_the_command_inherits(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = bound(stack, socket.SOCK_STREAM, str(tmp_path / "inherited"))
        server.set_inheritable(True)
        refusal = Refusal(paths=frozenset({str(tmp_path / "inherited")}), everything=True)
        assert run(refusal, CONNECT, at=str(tmp_path / "inherited")).result == "ok"


def test_asking_whether_a_server_is_there_does_not_reach_it(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stream = bound(stack, socket.SOCK_STREAM, str(tmp_path / "asked"))
        stream.setblocking(False)
        run(Refusal(paths=frozenset({str(tmp_path / "asked")})), CONNECT, at=str(tmp_path / "asked"))
        with pytest.raises(BlockingIOError):
            stream.accept()


@pytest.mark.parametrize("best", WAYS)
def test_a_client_outside_of_the_tree_is_not_refused(best: Means, sockets: Sockets) -> None:
    """Nor does it see a mount."""
    text = """
        before = connect(P["at"])
        wait()
        wait(1)
        report([before, connect(P["at"])])
    """
    with running(Refusal(paths=frozenset({sockets.stream})), text, {"at": sockets.stream}, best) as program:
        program.open()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(sockets.stream)
        assert sockets.stream not in Path("/proc/self/mountinfo").read_text()
        program.open(1)
        assert program.reported() == ["ECONNREFUSED", "ECONNREFUSED"]


def test_mounts_are_the_trees_own(tmp_path: Path) -> None:
    """Also below a mount that propagates: those outside appear in the tree, those of the tree only there."""
    path, below = str(tmp_path / "stream"), tmp_path / "below"
    below.mkdir()
    text = """
        connected = connect(P["at"])
        wait()
        report([connected, os.path.ismount(P["at"]), os.path.ismount(P["below"])])
    """
    with ExitStack() as stack:
        subprocess.run(["mount", "--bind", "--make-shared", tmp_path, tmp_path], check=True)
        stack.callback(lambda: subprocess.run(["umount", "--recursive", tmp_path], check=True))
        bound(stack, socket.SOCK_STREAM, path)
        peers = {"at": path, "below": str(below)}
        with running(Refusal(paths=frozenset({path})), text, peers, BY_MOUNTS) as program:
            subprocess.run(["mount", "-t", "tmpfs", "none", below], check=True)
            program.open()
            assert program.reported() == ["ECONNREFUSED", True, True]
            assert not Path(path).is_mount()


def test_a_user_hides_nothing_out_of_reach(sockets: Sockets) -> None:
    """Paths are resolved with the user's rights: this user may not search the directory."""
    invoker = Invoker.find()._replace(uid=NOBODY, gid=NOBODY, groups=())
    text = 'report([connect(P["at"]), open("/proc/self/mountinfo").read().count("/stream ")])'
    with stepped_back(invoker):
        refusal = Refusal(paths=frozenset({sockets.stream}))
        with running(refusal, text, {"at": sockets.stream}, BY_MOUNTS, invoker) as program:
            assert program.refusing.hidden == {sockets.stream}
            assert program.reported() == ["EACCES", 0]


def test_a_user_hides_a_socket(tmp_path: Path) -> None:
    invoker = Invoker.find()._replace(uid=NOBODY, gid=NOBODY, groups=())
    text = 'report([connect(P["at"]), os.geteuid()])'
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(dir="/tmp")))
        directory.chmod(0o755)
        bound(stack, socket.SOCK_STREAM, str(directory / "stream"))
        (directory / "stream").chmod(0o777)
        stack.enter_context(stepped_back(invoker))
        refusal, peers = Refusal(paths=frozenset({str(directory / "stream")})), {"at": str(directory / "stream")}
        with running(refusal, text, peers, BY_MOUNTS, invoker) as program:
            assert program.reported() == ["ECONNREFUSED", NOBODY]


@contextmanager
def stepped_back(invoker: Invoker) -> Iterator[None]:
    """As svc-trace runs: with the user's effective ids."""
    invoker.step_back()
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(())


@pytest.mark.parametrize("best", WAYS)
def test_a_path_that_is_no_socket(best: Means, tmp_path: Path) -> None:
    """Root hides no file from a user."""
    secret = tmp_path / "file"
    secret.write_text("content")
    text = 'report(open(P["path"]).read())'
    met = run(Refusal(paths=frozenset({str(secret)})), text, path=str(secret), best=best)
    assert met.result == "content"
    assert met.refusing.not_served == {str(secret)}


def test_only_sockets_are_hidden(tmp_path: Path) -> None:
    """Even if something else has taken the place of one since."""
    secret, copy = tmp_path / "secret", tmp_path / "copy"
    secret.write_text("content")
    child = Child(("cp", str(secret), str(copy)), Invoker.find())
    child.release({}, hidden=[str(secret), str(tmp_path / "missing")])
    child.join()
    assert copy.read_text() == "content"


def test_a_command_that_cannot_hide_anything() -> None:
    """As in a container that may not mount."""
    text = """
from tracer.errors import SvcTraceError
from tracer.record.invoker import Invoker
from tracer.record.launch import Child
from tracer.record.launch import Child
child = Child(("true",), Invoker.find())
try:
    child.release({}, hidden=["/nowhere"])
except SvcTraceError as error:
    print(error.slug, error.message)
child.join()
"""
    command = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-c", text]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert result.stdout == "cannot-hide cannot hide unix sockets from the command: Operation not permitted\n"


@pytest.mark.parametrize("name", ["", "x" * 109, "@" + "x" * 108, "/tmp/a\0b"])
def test_what_cannot_be_a_name(name: str) -> None:
    with pytest.raises(SvcTraceError) as caught:
        run(Refusal(paths=frozenset({name})), CONNECT, at="/nowhere")
    assert caught.value.slug == "bad-refusal"
