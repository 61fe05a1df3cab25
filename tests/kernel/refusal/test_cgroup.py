"""The run's own cgroup: where it is, who is in it, and that nothing is left of it, however the run ends."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil
import pytest

from kernel.refusal.refused import CONNECT, Servers, cgroup_of, hierarchy_root, refuse, run, running
from tracer.errors import SvcTraceError
from tracer.record.capture.bpf.library import Library
from tracer.record.capture.bpf.programs import REFUSAL_OBJECT
from tracer.record.invoker import Invoker
from tracer.record.launch import Child
from tracer.record.refusal import programs
from tracer.record.refusal.hierarchy import own_cgroup
from tracer.record.refusal.programs import CGROUP_OF_SOCKET, MEANS, Programs
from tracer.record.refusal.refusing import refusing
from tracer.record.refusal.table import table
from tracer.record.refusal.targets import EVERYTHING, Refusal

pytestmark = [pytest.mark.kernel]

ROOT: Final = Path(__file__).parents[3]
NOBODY: Final = 65534

TRACER: Final = """
import json, os, sys
import psutil  # a user may be unable to read this Python
from kernel.refusal.refused import refuse, running
from tracer.record.invoker import Invoker
at, user = json.loads(sys.argv[1])
invoker = Invoker.find()
if user:
    invoker = invoker._replace(uid=user, gid=user, groups=())
    invoker.step_back()
text = 'wait(); report(connect(P["at"]))'
with running(refuse(tuple(at)), text, {"at": at}, invoker=invoker) as program:
    invoker.become()
    print(json.dumps([program.pid, open(f"/proc/{program.pid}/cgroup").read(), str(program.gates[0])]), flush=True)
    sys.stdin.read()
"""
"""A run whose command waits at a gate, and then connects. It ends with its stdin."""


@dataclass(frozen=True, slots=True)
class Tracer:
    """A run in another process, with its own directory for temporary files."""

    process: subprocess.Popen[bytes]
    command: int
    cgroup: Path
    gate: Path

    @property
    def keeper(self) -> int:
        """The process that removes the cgroup."""
        (keeper,) = {child.pid for child in psutil.Process(self.process.pid).children()} - {self.command}
        return keeper

    def connected(self) -> str:
        """Let the command try its address, and wait for its end."""
        with ending(self.command):
            self.gate.open("w").close()
        return str(json.loads((self.gate.parent / "result").read_text()))


@contextmanager
def tracer(at: tuple[str, int], *prefix: str, user: int = 0) -> Iterator[Tracer]:
    """A run in another process, started by `prefix`. It ends with the block."""
    pipe = subprocess.PIPE
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o1777)
        environment = {**os.environ, "TMPDIR": directory, "PYTHONPATH": str(ROOT / "tests")}
        command = [*prefix, sys.executable, "-c", TRACER, json.dumps([at, user])]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, cwd=ROOT) as process:
            assert process.stdout is not None
            pid, cgroup, gate = json.loads(process.stdout.readline())
            yield Tracer(process, pid, hierarchy_root() / own_cgroup(cgroup).lstrip("/"), Path(gate))


@contextmanager
def ending(pid: int) -> Iterator[None]:
    """Wait at the end of the block until a process, which need not be a child, has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        yield
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(20_000), "it does not end"
    finally:
        os.close(descriptor)


@pytest.fixture
def at(servers: Servers) -> tuple[str, int]:
    """Where a server outside of the tree listens."""
    return "127.0.0.1", servers.port


WAITS: Final = 'wait(); report(connect(P["at"]))'


def test_only_the_tree_is_in_it(at: tuple[str, int]) -> None:
    with running(refuse(at), WAITS, {"at": at}) as program:
        cgroup = cgroup_of(program.pid)
        assert cgroup.parent == cgroup_of(os.getpid())
        assert (cgroup / "cgroup.procs").read_text() == f"{program.pid}\n"
        assert stat.S_IMODE(cgroup.stat().st_mode) == 0o711  # others may not lock it
        program.open()
        assert program.reported() == "ECONNREFUSED"
    assert not cgroup.exists()


def test_the_command_inherits_none_of_its_descriptors() -> None:
    text = (
        'report(sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")))'
    )
    inheritable = [
        int(entry.name)
        for entry in Path("/proc/self/fd").iterdir()
        if entry.exists() and os.get_inheritable(int(entry.name))
    ]
    assert run(Refusal(everything=True), text).result == sorted(inheritable)


def test_a_process_that_outlives_the_command(at: tuple[str, int], tmp_path: Path) -> None:
    """It goes back to the cgroup from which the command came, and is refused nothing any more."""
    gate, left = tmp_path / "gate", tmp_path / "left"
    os.mkfifo(gate)
    text = """
        before = connect(P["at"])
        survivor = os.fork()
        if survivor == 0:
            open(P["gate"]).close()
            open(P["left"], "w").write(connect(P["at"]))
            os._exit(0)
        report([before, survivor])
    """
    with running(refuse(at), text, {"at": at, "gate": str(gate), "left": str(left)}) as program:
        before, survivor = program.reported()
        cgroup = cgroup_of(survivor)
        assert cgroup.parent == cgroup_of(os.getpid())
    assert not cgroup.exists()
    assert cgroup_of(survivor) == cgroup_of(os.getpid())
    with ending(survivor):
        gate.open("w").close()
    assert (before, left.read_text()) == ("ECONNREFUSED", "ok")


def test_cgroups_that_the_tree_creates(at: tuple[str, int], tmp_path: Path) -> None:
    """They are refused the same, their servers are the tree's, and they are removed with it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    text = """
        below = P["root"] + open("/proc/self/cgroup").read().split("0::")[1].strip() + "/below/deeper"
        os.makedirs(below)
        reading, writing = os.pipe()
        survivor = os.fork()
        if survivor == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            with open(below + "/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))
            server = serve("127.0.0.1", 0)
            os.write(writing, b"%d %s" % (server.getsockname()[1], connect(P["at"]).encode()))
            open(P["gate"]).close()
            os._exit(0)
        port, refused = os.read(reading, 99).split()
        report([refused.decode(), connect(("127.0.0.1", int(port))), survivor])
    """
    peers = {"at": at, "gate": str(gate), "root": str(hierarchy_root())}
    with running(Refusal(everything=True), text, peers) as program:
        *met, survivor = program.reported()
        cgroup = cgroup_of(program.pid)
        assert cgroup_of(survivor) == cgroup / "below" / "deeper"
    assert met == ["ECONNREFUSED", "ok"]
    assert not cgroup.exists()
    with ending(survivor):
        gate.open("w").close()


def test_a_killed_tracer(at: tuple[str, int]) -> None:
    """Nothing is left, and the command, which goes on, is refused nothing any more."""
    with tracer(at) as killed:
        with ending(killed.keeper):
            killed.process.kill()
        assert not killed.cgroup.exists()
        assert cgroup_of(killed.command) == cgroup_of(os.getpid())
        assert killed.connected() == "ok"


def test_a_killed_tracer_and_its_killed_keeper(at: tuple[str, int]) -> None:
    """The next run removes the cgroup."""
    with tracer(at) as killed:
        with ending(killed.keeper):
            os.kill(killed.keeper, signal.SIGKILL)
        killed.process.kill()
        killed.process.wait()
        assert killed.cgroup.exists()
        assert run(refuse(at), CONNECT, at=at).result == "ECONNREFUSED"
        assert not killed.cgroup.exists()
        assert cgroup_of(killed.command) == cgroup_of(os.getpid())
        assert killed.connected() == "ok"


def test_a_run_removes_no_cgroup_of_another_one(at: tuple[str, int]) -> None:
    with tracer(at) as other:
        assert run(Refusal(), CONNECT, at=at).result == "ok"
        assert cgroup_of(other.command) == other.cgroup
        assert other.connected() == "ECONNREFUSED"


def test_signals_for_the_whole_terminal_do_not_end_the_keeper(at: tuple[str, int]) -> None:
    with tracer(at) as signalled:
        assert os.getsid(signalled.keeper) == signalled.keeper
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            os.kill(signalled.keeper, number)
    assert not signalled.cgroup.exists()


def test_a_tracer_that_has_given_up_root(at: tuple[str, int]) -> None:
    with tracer(at, user=NOBODY) as unprivileged:
        assert psutil.Process(unprivileged.process.pid).uids().saved == NOBODY
        assert psutil.Process(unprivileged.keeper).uids().real == 0
        assert cgroup_of(unprivileged.command) == unprivileged.cgroup
    assert not unprivileged.cgroup.exists()


ENTER: Final = 'for group in $1; do echo $$ > "$group/cgroup.procs" || exit; done; shift; exec "$@"'
"""A shell's command: enter cgroups, one after the other, and execute the rest of the arguments."""


def test_it_is_below_the_tracers_own(at: tuple[str, int]) -> None:
    """Its limits apply, and what counts by it, such as systemd, still finds the command."""
    with cgroups("own") as (own,), tracer(at, "sh", "-c", ENTER, "sh", str(own)) as moved:
        assert moved.cgroup.parent == own
        with ending(moved.keeper):
            moved.process.kill()
        assert cgroup_of(moved.command) == own
        assert moved.connected() == "ok"


def test_a_tracer_in_a_threaded_cgroup(at: tuple[str, int]) -> None:
    """Below it there can be no cgroup for a whole process."""
    with cgroups("domain", "domain/threaded") as (domain, threaded):
        (threaded / "cgroup.type").write_text("threaded")
        with tracer(at, "sh", "-c", ENTER, "sh", f"{domain} {threaded}") as moved:
            assert moved.cgroup.parent == hierarchy_root()
            assert moved.connected() == "ECONNREFUSED"
        assert not moved.cgroup.exists()


@contextmanager
def cgroups(*names: str) -> Iterator[list[Path]]:
    """Cgroups of the test's, removed at the end."""
    with ExitStack() as stack:
        made = []
        for name in names:
            path = hierarchy_root() / f"test-{os.getpid()}-{name}"
            path.mkdir()
            stack.callback(path.rmdir)
            made.append(path)
        yield made


@pytest.mark.parametrize("hidden", ["umount --lazy", "mount -o remount,bind,ro"], ids=["unmounted", "read-only"])
def test_without_a_mount_that_can_be_used(hidden: str, at: tuple[str, int]) -> None:
    """The run has a mount of its own, which no path leads to."""
    command = f'{hidden} "$0" && exec "$@"'
    with tracer(at, "unshare", "--mount", "sh", "-c", command, str(hierarchy_root())) as own:
        mounted = Path(f"/proc/{own.process.pid}/mountinfo").read_text()
        assert mounted.count(" - cgroup2 ") == (hidden != "umount --lazy")
        assert cgroup_of(own.command) == own.cgroup
        assert own.connected() == "ECONNREFUSED"
    assert not own.cgroup.exists()


def test_without_any_mount() -> None:
    """As in a container that may load programs, but not mount."""
    text = """
from kernel.refusal.refused import *
from tracer.errors import SvcTraceError
try:
    run(Refusal(), "")
except SvcTraceError as error:
    print(error.slug, error.message)
"""
    command = 'mount -o remount,bind,ro "$0" && exec setpriv --bounding-set=-sys_admin "$@"'
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, str(hierarchy_root()), sys.executable, "-c", text],
        env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.startswith("no-cgroup there is no place for a cgroup")
    assert "Operation not permitted" in result.stdout


@contextmanager
def stopped() -> Iterator[Child]:
    """A child that never executes its command; at the end it is in this process's cgroup again."""
    child = Child(("true",), Invoker.find())
    yield child
    assert cgroup_of(child.pid) == cgroup_of(os.getpid())
    child.abandon()
    child.join()


def test_an_object_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.o"
    broken.write_bytes(REFUSAL_OBJECT.read_bytes()[:1000])
    monkeypatch.setattr(programs, "REFUSAL_OBJECT", broken)
    with stopped() as child, pytest.raises(SvcTraceError) as caught, refusing(Refusal(), child.pid, Invoker.find()):
        pass
    assert caught.value.slug == "load-failed"
    assert "libbpf gives no reason" not in caught.value.message


def test_programs_that_cannot_be_attached(tmp_path: Path) -> None:
    """A cgroup whose own program permits no others below it looks the same to the loader."""
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(SvcTraceError) as caught:
            Programs(directory, table([EVERYTHING], (), ()), {}, 1, MEANS[0])
    finally:
        os.close(directory)
    assert caught.value.slug == "load-failed"
    assert "did not attach connect4" in caught.value.message


def test_a_keeper_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of processes is reached."""

    def refuse_fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with stopped() as child:
        monkeypatch.setattr(os, "fork", refuse_fork)
        with pytest.raises(BlockingIOError), refusing(Refusal(), child.pid, Invoker.find()):
            pass


def test_this_kernel_knows_the_cgroups_of_sockets() -> None:
    """What an older one is said to lack."""
    assert CGROUP_OF_SOCKET in (Library().definitions(("sock_cgroup_data",)) or "")


def test_without_root(at: tuple[str, int]) -> None:
    """In a child: privileges that were given up do not come back."""
    child = os.fork()
    if child == 0:
        os.setuid(NOBODY)
        try:
            run(refuse(at), CONNECT, at=at)
        except SvcTraceError as error:
            os._exit(error.slug != "not-root")
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_a_kernel_on_which_programs_cannot_choose_the_error(at: tuple[str, int]) -> None:
    met = run(refuse(at), CONNECT, at=at, best=MEANS[-1])
    assert (met.result, met.refusing.error) == ("EPERM", errno.EPERM)
    assert run(refuse(at), CONNECT, at=at).refusing.error == errno.ECONNREFUSED
