"""The tree: births, programs, threads, ends; pids in their own namespace; none missed, none twice."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen
from textwrap import dedent
from typing import Any

import pytest

from kernel.traced import Peers, capturing, inode, run, script, trace
from tracer.record.capture.protocol import Kind, TaskEvent

pytestmark = pytest.mark.kernel


def told_facts(peers: Peers) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(Path(peers.missing).read_text())
    return facts


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("sys.exit(0)", 0),
        ("sys.exit(3)", 3 << 8),
        ("os._exit(255)", 255 << 8),
        ("threading.Thread(target=os._exit, args=(7,)).start(); threading.Event().wait()", 7 << 8),
        ("os.kill(os.getpid(), 15)", signal.SIGTERM),
        ("os.kill(os.getpid(), 9)", signal.SIGKILL),
        ("threading.Thread(target=os.kill, args=(os.getpid(), 9)).start(); threading.Event().wait()", signal.SIGKILL),
        ("import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()", signal.SIGABRT),
    ],
)
def test_the_end_tells_the_wait_status(text: str, status: int, peers: Peers) -> None:
    assert trace(*script(text, peers)).statuses == {1: status}


BIRTHS = {
    "fork": """
        pid = os.fork()
        if pid == 0: os._exit(5)
    """,
    "vfork": """
        import subprocess
        assert subprocess._USE_VFORK
        child = subprocess.Popen(["sh", "-c", "exit 5"]); pid = child.pid
    """,
    "posix_spawn": """
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 5"], os.environ)
    """,
    "clone": """
        CLONE = 220 if os.uname().machine == "aarch64" else 56
        pid = libc.syscall(CLONE, 17, 0, 0, 0, 0)
        if pid == 0: os._exit(5)
    """,
}


@pytest.mark.parametrize("call", BIRTHS)
def test_every_birth_is_told(call: str, peers: Peers) -> None:
    traced = run(dedent(BIRTHS[call]) + "assert os.waitpid(pid, 0)[1] == 5 << 8; report(pid=pid)", peers)
    (fork,) = traced.tasks(Kind.FORK)
    pid = told_facts(peers)["pid"]
    assert (fork.process, fork.parent, fork.pid, fork.tid, fork.host_pid) == (2, 1, pid, pid, pid)
    assert fork.pidns == inode("/proc/self/ns/pid")
    assert traced.statuses == {1: 0, 2: 5 << 8}
    executed = [(event.process, event.command) for event in traced.tasks(Kind.EXEC)]
    assert executed[1:] == ([(2, "sh")] if call in ("vfork", "posix_spawn") else [])


def test_threads_are_no_processes(peers: Peers) -> None:
    text = """
        def work():
            libc.prctl(15, b"worker", 0, 0, 0)  # PR_SET_NAME
            times.append(time.monotonic_ns())
            s = create_connection(P.tcp); s.send(b"1"); s.send(b"1")
            tids.append(threading.get_native_id())
        import time
        times, tids = [time.monotonic_ns()], []
        for turn in range(3):
            thread = threading.Thread(target=work); thread.start(); thread.join()
        report(times=times, tids=tids)
    """
    traced = run(text, peers)
    facts = told_facts(peers)
    threads = traced.tasks(Kind.THREAD)
    assert [(thread.process, thread.tid, thread.pid, thread.command) for thread in threads] == [
        (1, tid, traced.pid, "worker") for tid in facts["tids"]
    ]
    for thread, before, after in zip(threads, facts["times"], facts["times"][1:], strict=False):
        assert before <= thread.start_ns <= after  # it began after the one before it worked, and before its own work
    assert Counter(event.tid for event in traced.sockets) == dict.fromkeys(facts["tids"], 4)
    assert traced.tasks(Kind.FORK) == []
    assert traced.statuses == {1: 0}


def test_a_thread_is_announced_before_its_first_socket_event(peers: Peers) -> None:
    text = """
        s = socket(type=SOCK_DGRAM)
        def work():
            for turn in range(10): s.sendto(b"1", P.udp)
        threads = [threading.Thread(target=work) for turn in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """
    traced = run(text, peers)
    announced: Counter[int] = Counter()
    for event in traced.events:
        if event.kind == Kind.THREAD:
            announced[event.tid] += 1
        elif event.kind == Kind.SEND:
            assert announced[event.tid]
    assert len(traced.sends) == 200
    assert sum(announced.values()) == 20  # tids can be reused, so the sum counts


def test_the_last_thread_ends_the_process(peers: Peers) -> None:
    text = """
        def work():
            libc.prctl(15, b"worker", 0, 0, 0)  # PR_SET_NAME
            with open(f"/proc/self/task/{os.getpid()}/stat") as stat:
                while stat.read().rpartition(")")[2].split()[0] != "Z": stat.seek(0)
            create_connection(P.tcp).send(b"1"); os._exit(5)
        libc.prctl(15, b"first", 0, 0, 0)
        threading.Thread(target=work).start(); libc.pthread_exit(None)
    """
    traced = trace(*script(text, peers))
    assert traced.lines(peers) == ["CONNECT tcp 0", "CONNECT_RESULT tcp 0", "SEND tcp 1"]
    assert traced.statuses == {1: 5 << 8}
    (end,) = traced.tasks(Kind.EXIT)
    assert traced.events[-1] == end
    assert end.command == "first"  # the process's name, not its last thread's


def test_exec_in_a_thread_keeps_the_process(peers: Peers) -> None:
    text = """
        if len(sys.argv) == 2:
            again = [sys.executable, "-I", "-S", *sys.orig_argv[3:], "again"]
            threading.Thread(target=os.execv, args=(sys.executable, again)).start()
            threading.Event().wait()
        create_connection(P.tcp).send(b"1")
    """
    traced = run(text, peers)
    assert [(event.process, event.pid, event.tid) for event in traced.tasks(Kind.EXEC)] == [
        (1, traced.pid, traced.pid)
    ] * 2
    assert {(event.process, event.tid) for event in traced.sockets} == {(1, traced.pid)}
    assert traced.tasks(Kind.FORK) == []
    assert traced.statuses == {1: 0}


def test_a_child_sends_on_an_inherited_socket(peers: Peers) -> None:
    text = """
        s = create_connection(P.tcp)
        if os.fork() == 0: s.send(b"22"); os._exit(0)
        os.wait(); s.send(b"333")
    """
    traced = run(text, peers)
    assert [(event.process, event.kind, event.result) for event in traced.sockets] == [
        (1, Kind.CONNECT, 0),
        (1, Kind.CONNECT_RESULT, 0),
        (2, Kind.SEND, 2),
        (1, Kind.SEND, 3),
    ]
    assert len({event.socket for event in traced.sockets}) == 1


def test_a_daemon_stays_in_the_tree(peers: Peers) -> None:
    """It forks twice, its parent is gone before it sends, and it has a session of its own."""
    text = """
        go, gone = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                os.close(go[1]); os.read(go[0], 1)
                create_connection(P.tcp).send(b"1")
                os._exit(9)
            os._exit(0)
        os.waitpid(child, 0)
        os.close(gone[1]); os.close(go[1])
        assert os.read(gone[0], 1) == b""
    """
    traced = run(text, peers)
    assert [(event.process, event.parent) for event in traced.tasks(Kind.FORK)] == [(2, 1), (3, 2)]
    assert {event.process for event in traced.sockets} == {3}
    assert traced.statuses == {1: 0, 2: 0, 3: 9 << 8}


def test_a_daemon_may_outlive_the_command(peers: Peers) -> None:
    text = """
        import select
        command = os.pidfd_open(os.getpid())
        if os.fork() == 0:
            select.select([command], [], []); create_connection(P.tcp).send(b"1"); os._exit(9)
    """
    traced = run(text, peers)
    assert traced.lines(peers) == ["CONNECT tcp 0", "CONNECT_RESULT tcp 0", "SEND tcp 1"]
    assert [(event.process, event.status) for event in traced.tasks(Kind.EXIT)] == [(1, 0), (2, 9 << 8)]


def test_pids_are_those_of_their_own_namespace(peers: Peers, require: Callable[[str], None]) -> None:
    require("namespaces")
    text = """
        def work(): create_connection(P.tcp).send(b"1"); tids.append(threading.get_native_id())
        tids = []
        thread = threading.Thread(target=work); thread.start(); thread.join()
        report(pid=os.getpid(), tid=tids[0], pidns=os.stat("/proc/self/ns/pid").st_ino,
             host_pid=int(os.readlink("/proc/self")))  # /proc is the outer namespace's
    """
    traced = run(text, peers, namespaces="--pid --fork")
    facts = told_facts(peers)
    assert facts["pid"] == 1
    (fork,) = traced.tasks(Kind.FORK)
    (thread,) = traced.tasks(Kind.THREAD)
    for event in fork, thread, traced.tasks(Kind.EXIT)[0]:
        assert (event.process, event.pid, event.pidns) == (2, 1, facts["pidns"])
        assert event.host_pid == facts["host_pid"] > 1
    assert {(event.process, event.tid) for event in traced.sockets} == {(2, facts["tid"])}
    assert facts["pidns"] != inode("/proc/self/ns/pid") == traced.tasks(Kind.EXEC)[0].pidns


def test_a_reused_pid_is_another_process(peers: Peers, require: Callable[[str], None]) -> None:
    require("namespaces")
    text = """
        s = socket(type=SOCK_DGRAM)
        for turn in range(3):
            with open("/proc/sys/kernel/ns_last_pid", "w") as last: last.write("99")
            if os.fork() == 0: s.sendto(bytes(turn), P.udp); os._exit(turn)
            assert os.wait()[0] == 100
    """
    traced = run(text, peers, namespaces="--pid --fork")
    assert [(event.process, event.pid) for event in traced.tasks(Kind.FORK)] == [(2, 1), (3, 100), (4, 100), (5, 100)]
    assert [(event.process, event.tid, event.result) for event in traced.sends] == [
        (3, 100, 0),
        (4, 100, 1),
        (5, 100, 2),
    ]
    assert traced.statuses == {1: 0, 2: 0, 3: 0, 4: 1 << 8, 5: 2 << 8}


def test_two_thousand_short_lives_are_told(peers: Peers) -> None:
    text = """
        for turn in range(50):
            for child in range(40):
                if os.fork() == 0: os._exit(child)
            for child in range(40): os.wait()
    """
    traced = run(text, peers)
    forks = traced.tasks(Kind.FORK)
    assert [fork.process for fork in forks] == list(range(2, 2002))
    assert {fork.parent for fork in forks} == {1}
    assert traced.statuses == {1: 0} | {fork.process: (fork.process - 2) % 40 << 8 for fork in forks}
    order = {(event.kind, event.process): index for index, event in enumerate(traced.events)}
    assert all(order[Kind.FORK, fork.process] < order[Kind.EXIT, fork.process] for fork in forks)


def test_times_are_the_monotonic_clock_and_in_order(peers: Peers) -> None:
    text = """
        import time
        s = socket(type=SOCK_DGRAM); times = []
        for turn in range(100):
            times.append(time.monotonic_ns()); s.sendto(b"1", P.udp)
        times.append(time.monotonic_ns()); report(times=times)
    """
    traced = run(text, peers)
    times = told_facts(peers)["times"]
    for before, event, after in zip(times[:-1], traced.sends, times[1:], strict=True):
        assert before <= event.ns <= after


_ROOT_ELSEWHERE = """
import os
for turn in range(2):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last: last.write("99")
    if (pid := os.fork()) == 0:
        print(os.readlink("/proc/self"), flush=True)  # in the outer namespace
        if os.read(0, 1) == b"x": os.execv("/bin/true", ["true"])
        os._exit(0)
    assert os.waitpid(pid, 0)[0] == 100
"""


@pytest.mark.probes
@pytest.mark.parametrize("first", ["executes", "ends"])
def test_the_root_may_be_no_child_and_a_later_process_with_its_pid_is_not_traced(
    first: str, tmp_path: Path, require: Callable[[str], None]
) -> None:
    require("namespaces")
    fifo = tmp_path / "boundaries"
    os.mkfifo(fifo)
    words = ("unshare", "--pid", "--fork", sys.executable, "-I", "-S", "-c", _ROOT_ELSEWHERE)
    with capturing() as loaded, Popen(words, stdin=PIPE, stdout=PIPE, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        pid = int(process.stdout.readline())
        pidns = inode(f"/proc/{pid}/ns/pid")
        with closing(loaded.trace(pid, fifo)) as session:
            process.stdin.write(b"x" if first == "executes" else b"e")
            process.stdout.readline()  # the second process, which has the same pid
            process.stdin.write(b"x")
            assert process.wait() == 0
            events = [event for event in session.drain() if isinstance(event, TaskEvent) and event.kind == Kind.EXEC]
    expected = [(100, pid, pidns)] if first == "executes" else []
    assert [(event.pid, event.host_pid, event.pidns) for event in events] == expected
