from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import plain

from tracer.record.capture.protocol import Kind, TaskEvent
from tracer.record.names import hosts_file as module
from tracer.record.names.hosts_file import HostsFiles, names_in
from tracer.record.processes import Processes
from tracer.trace.ids import NetworkNamespace, PidNamespace, ProcessId
from tracer.trace.timeline import Timeline

RUNNER, CHILD = ProcessId(1), ProcessId(2)
NETWORK, OTHER_NETWORK = NetworkNamespace(4026531840), NetworkNamespace(4026532000)
PIDNS = PidNamespace(Path("/proc/self/ns/pid").stat().st_ino)
GONE = 1 << 22
"""A pid that no process has: PID_MAX_LIMIT (proc(5))."""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("10.0.0.5 db.internal db", {"10.0.0.5": ("db.internal", "db")}),
        ("10.0.0.5\tDB.Internal. # primary\n#10.0.0.6 old\n\n", {"10.0.0.5": ("db.internal",)}),
        ("  10.0.0.7   cache  \r\n10.0.0.8 last", {"10.0.0.7": ("cache",), "10.0.0.8": ("last",)}),
        ("10.0.0.5 a\n10.0.0.5 b a", {"10.0.0.5": ("a", "b")}),
        ("FD00:0::5 six\n::ffff:10.0.0.5 mapped", {"fd00::5": ("six",), "10.0.0.5": ("mapped",)}),
        ("fe80::1%eth0 router", {"fe80::1": ("router",)}),
        ("127.0.0.1 localhost api.test\n::1 ip6-localhost\n0.0.0.0 ads.example", {}),
        ("127.0.1.1 laptop", {"127.0.1.1": ("laptop",)}),
        ("10.0.0.5 localhost 10.0.0.6 b\u00fccher _srv_1", {"10.0.0.5": ("_srv_1",)}),
        ("10.0.0 short\n10.0.0.256 large\n1.2.3.4\nname 1.2.3.4\n\0\n:: none", {}),
    ],
)
def test_names_of_a_file(text: str, names: dict[str, tuple[str, ...]]) -> None:
    assert names_in(text) == names


@given(
    st.text()
    | st.lists(st.sampled_from(["10.0.0.5", "::1", "fe80::1%e", "%", "#", " ", "\n", "a", ".", "\ud800"])).map("".join)
)
def test_no_text_is_an_error(text: str) -> None:
    assert isinstance(names_in(text), dict)


def test_the_number_of_names_of_an_address_is_bounded() -> None:
    text = "\n".join(f"10.0.0.5 n{number}" for number in range(10_000))
    assert [*names_in(text).values()] == [tuple(f"n{number}" for number in range(8))]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /etc/hosts."""
    path = tmp_path / "hosts"
    path.write_text("10.0.0.5 db.internal db\n")
    monkeypatch.setattr(module, "_OWN_FILE", path)
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
    monkeypatch.delattr(module, "names_in")  # it would be missed
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


def test_links_are_not_followed_in_another_root(tmp_path: Path) -> None:
    """An absolute link would lead into the tracer's own root."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "hosts").write_text("10.0.0.5 stolen\n")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "etc").symlink_to(tmp_path / "real")
    (tmp_path / "part" / "etc").mkdir(parents=True)
    (tmp_path / "part" / "etc" / "hosts").symlink_to(tmp_path / "real" / "hosts")
    (tmp_path / "none" / "etc").mkdir(parents=True)
    (tmp_path / "none" / "etc" / "hosts").write_text("10.0.0.5 own\n")
    for root in ("whole", "part"):
        with pytest.raises(OSError, match=r"Not a directory|not a regular file"):
            module._read(1, tmp_path / root, None)
    found = module._read(1, tmp_path / "none", None)
    assert found
    assert found.names == {"10.0.0.5": ("own",)}
    assert module._read(1, tmp_path / "none", found.version) is None


def test_a_process_that_ends_before_it_is_seen_to_use_an_address_has_the_names_of_where_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has executed a program there. Its child, which is not seen before, is there, too."""
    elsewhere = 1
    version = module._Version(1, 1, 1, 1)
    found = module._Found(elsewhere, version, {"10.0.0.5": ("elsewhere",)})
    processes = processes_with(os.getpid())
    files = HostsFiles(processes)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_mount_namespace", lambda pid: elsewhere)
        patch.setattr(module, "_read", lambda mount, root, known: found)
        files.executed(RUNNER)
        assert [*files.turn(60)] == []
    ended = plain(TaskEvent)(2, Kind.EXIT, RUNNER, 1, 0, os.getpid(), os.getpid(), PIDNS, 1, "sh", 0)
    processes.apply(ended)
    files.reached(RUNNER, NETWORK, "10.0.0.5")
    files.reached(CHILD, OTHER_NETWORK, "10.0.0.5")
    expected = {(NETWORK, "10.0.0.5", "elsewhere"), (OTHER_NETWORK, "10.0.0.5", "elsewhere")}
    assert {*files.turn(60)} == expected
    files.close()


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
    monkeypatch.setattr(module, "read_regular", lambda *_: os.read(gate[0], 1))
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
