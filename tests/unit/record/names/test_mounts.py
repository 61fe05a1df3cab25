from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from plain import plain

from tracer.record.capture.protocol import Kind, TaskEvent
from tracer.record.names import hosts_file
from tracer.record.names import mounts as module
from tracer.record.names.mounts import HostsFiles
from tracer.record.processes import Processes
from tracer.trace.ids import NetworkNamespace, PidNamespace, ProcessId
from tracer.trace.timeline import Timeline

RUNNER, CHILD = ProcessId(1), ProcessId(2)
NETWORK, OTHER_NETWORK = NetworkNamespace(4026531840), NetworkNamespace(4026532000)
PIDNS = PidNamespace(Path("/proc/self/ns/pid").stat().st_ino)
GONE = 1 << 22
"""A pid that no process has: PID_MAX_LIMIT (proc(5))."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /etc/hosts."""
    path = tmp_path / "hosts"
    path.write_text("10.0.0.5 db.internal db\n")
    monkeypatch.setattr(hosts_file, "_OWN_FILE", path)
    return path


def processes_with(pid: int, child_pid: int = GONE) -> Processes:
    """A process with this pid, and its child."""
    processes = Processes(Timeline())
    for process, parent, own_pid in ((RUNNER, 0, pid), (CHILD, RUNNER, child_pid)):
        processes.apply(plain(TaskEvent)(1, Kind.FORK, process, own_pid, parent, own_pid, own_pid, PIDNS, 1, "sh", 0))
    return processes


@pytest.mark.parametrize("pid", [os.getpid(), GONE], ids=["alive", "gone"])
def test_a_process_in_the_tracers_mount_namespace_sees_its_file(file: Path, pid: int) -> None:
    """So does one that has ended before it is looked up: it is taken to be where the process was that started it."""
    files = HostsFiles(processes_with(pid))
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    files.reached(RUNNER, NETWORK, "10.0.0.6")
    assert {*files.turn(60)} == {(NETWORK, "10.0.0.5", "db.internal"), (NETWORK, "10.0.0.5", "db")}
    files.reached(CHILD, OTHER_NETWORK, "10.0.0.5")
    assert {*files.turn(60)} == {(OTHER_NETWORK, "10.0.0.5", "db.internal"), (OTHER_NETWORK, "10.0.0.5", "db")}
    files.close()


def test_a_file_that_changes_is_read_again_when_a_new_address_is_reached(file: Path) -> None:
    files = HostsFiles(processes_with(os.getpid()))
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    files.reached(RUNNER, NETWORK, "10.0.0.7")
    assert {name for _, _, name in files.turn(60)} == {"db.internal", "db"}
    file.write_text("10.0.0.7 cache.internal\n")
    files.reached(RUNNER, NETWORK, "10.0.0.7")  # known: the file is not looked at
    assert [*files.turn(60)] == []
    files.reached(RUNNER, NETWORK, "10.0.0.8")
    assert {*files.turn(60)} == {(NETWORK, "10.0.0.7", "cache.internal")}
    files.close()


def test_a_file_that_does_not_change_is_read_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = HostsFiles(processes_with(os.getpid()))
    files.reached(RUNNER, NETWORK, "10.0.0.6")
    assert [*files.turn(60)] == []
    monkeypatch.delattr(hosts_file, "names_in")  # it would be missed
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    assert {name for _, _, name in files.turn(60)} == {"db.internal", "db"}
    files.close()


@pytest.mark.parametrize("kind", ["missing", "fifo", "device", "directory", "waits"])
def test_what_is_no_file_has_no_names_and_holds_nothing_up(file: Path, kind: str) -> None:
    file.unlink()
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "directory":
        file.mkdir()
    elif kind != "missing":
        file.symlink_to(
            {"device": "/dev/zero", "waits": "/proc/kmsg"}[kind]
        )  # kmsg waits for the kernel's next message
    files = HostsFiles(processes_with(os.getpid()))
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    began = time.monotonic()
    assert [*files.turn(60)] == []
    assert time.monotonic() - began < 30
    files.close()


def test_of_a_long_file_the_first_part_is_read(file: Path) -> None:
    lines = [f"10.1.{number // 250}.{number % 250} n{number}" for number in range(60_000)]
    file.write_text("\n".join(lines))
    assert file.stat().st_size > 1 << 20
    files = HostsFiles(processes_with(os.getpid()))
    for number in (0, 40_000, 59_000):
        files.reached(RUNNER, NETWORK, lines[number].split()[0])
    assert {name for _, _, name in files.turn(60)} == {"n0", "n40000"}
    files.close()


@pytest.fixture
def elsewhere(file: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """This process and its child seem to be in another mount namespace, whose file names 10.0.0.5."""
    answer = hosts_file.Answer(1, hosts_file.Version(1, 1, 1, 1), {"10.0.0.5": ("elsewhere",)})
    monkeypatch.setattr(module, "_mount_namespace", lambda pid: 0 if pid == "self" else 1)
    monkeypatch.setattr(hosts_file, "read", lambda mount, root, known: answer)
    return processes_with(os.getpid())


def end(processes: Processes) -> None:
    pid = os.getpid()
    processes.apply(plain(TaskEvent)(2, Kind.EXIT, RUNNER, 1, 0, pid, pid, PIDNS, 1, "sh", 0))


def test_a_process_that_has_ended_before_its_uses_are_known_has_the_names_of_where_it_was(elsewhere: Processes) -> None:
    """It has executed a program there. So has its child, which is not seen before."""
    files = HostsFiles(elsewhere)
    files.executed(RUNNER)
    assert [*files.turn(60)] == []
    end(elsewhere)
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    files.reached(CHILD, OTHER_NETWORK, "10.0.0.5")
    assert {*files.turn(60)} == {(NETWORK, "10.0.0.5", "elsewhere"), (OTHER_NETWORK, "10.0.0.5", "elsewhere")}
    files.close()


def test_a_file_that_cannot_be_read_after_the_last_program_began_has_no_names(elsewhere: Processes) -> None:
    """The program before it may have mounted another file."""
    files = HostsFiles(elsewhere)
    files.executed(RUNNER)
    assert [*files.turn(60)] == []
    end(elsewhere)
    files.executed(RUNNER)
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    assert [*files.turn(60)] == []
    files.close()


def test_if_a_process_ends_before_its_file_is_read_another_one_is_looked_for(
    elsewhere: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        hosts_file.Answer(1, is_gone=True),
        hosts_file.Answer(1, hosts_file.Version(1, 1, 1, 1), {"10.0.0.5": ("elsewhere",)}),
    ]
    monkeypatch.setattr(hosts_file, "read", lambda *_: answers.pop(0))
    files = HostsFiles(elsewhere)
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    assert [*files.turn(60)] == []
    assert {*files.turn(60)} == {(NETWORK, "10.0.0.5", "elsewhere")}
    files.close()


def test_names_wait_until_the_file_is_read_again(elsewhere: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    files = HostsFiles(elsewhere)
    files.executed(RUNNER)
    assert [*files.turn(60)] == []
    readable, may_read = os.pipe()
    changed = hosts_file.Answer(1, hosts_file.Version(1, 1, 2, 1), {"10.0.0.5": ("changed",)})
    monkeypatch.setattr(hosts_file, "read", lambda *_: os.read(readable, 1) and changed)
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    assert [*files.turn()] == []
    os.write(may_read, b"1")
    assert {*files.turn(60)} == {(NETWORK, "10.0.0.5", "changed")}
    files.close()
    os.close(readable)
    os.close(may_read)


def test_memory_is_for_processes_that_live(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these has a mount namespace of its own."""
    monkeypatch.setattr(module, "_mount_namespace", {"self": 0}.get)
    files = HostsFiles(processes_with(GONE))
    for number in range(100):
        monkeypatch.setattr(module, "_mount_namespace", lambda pid, number=number: 1 + number)
        files.reached(CHILD, NETWORK, "10.0.0.5")
        assert [*files.turn(60)] == []
        files.forget_process(CHILD)
    assert len(files._files) == 1
    assert files._mounts == {}
    files.close()


def test_a_file_system_that_never_answers_holds_nothing_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of other files are missing then."""
    gate = os.pipe()
    monkeypatch.setattr(hosts_file, "read_regular", lambda *_: os.read(gate[0], 1))
    files = HostsFiles(processes_with(os.getpid()))
    for number in range(200):
        files.reached(RUNNER, NETWORK, f"10.0.1.{number}")
        assert [*files.turn(0)] == []
    assert files._reader._wanted.qsize() < 100
    os.write(gate[1], b"1")
    files.close()
    thread = files._reader._thread
    assert thread
    os.close(gate[1])
    thread.join(60)
    os.close(gate[0])
    assert not thread.is_alive()
