"""Causes: which runner's thread a thread was last woken for, and which wake-ups do not count."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from textwrap import dedent
from typing import Final, NamedTuple

import pytest
from build_native import compile_probes

from kernel.traced import Peers, capturing, ended, running, script
from tracer.record.capture.bpf import features, libbpf
from tracer.record.capture.bpf.libbpf import LibbpfBackend
from tracer.record.capture.bpf.library import Library
from tracer.record.capture.bpf.programs import SOURCES
from tracer.record.capture.bpf.session import BpfSession
from tracer.record.capture.protocol import COMMAND_PROCESS, UNKNOWN_CAUSE, Event, Kind, Loaded, SocketEvent, TaskEvent

pytestmark = [pytest.mark.kernel, pytest.mark.probes]

BEGIN: Final = """
import queue, select, time
from concurrent.futures import ThreadPoolExecutor

def client():
    "A socket that never fails to send."
    s = socket(type=SOCK_DGRAM)
    s.connect(P.udp)
    return s

def settle(*children):
    "Wait until every other thread, also of these children, waits for something."
    before, same = None, 0
    while same < 20:
        now = []
        for task in (task for process in ("self", *children) for task in os.scandir(f"/proc/{process}/task")):
            with suppress(FileNotFoundError, ProcessLookupError):
                if task.name != str(threading.get_native_id()):
                    status = dict(line.split(":", 1) for line in open(f"{task.path}/status"))
                    now.append((task.name, "S" in status["State"].split(), status["voluntary_ctxt_switches"]))
        same = same + 1 if now == before and all(waits for _, waits, _ in now) else 0
        before = now

def begin(settled=True):
    "A test begins in this thread."
    if settled: settle()
    os.write(boundaries, b"boundary")
    mark.send(b"begin")

boundaries, mark = os.open(sys.argv[2], os.O_RDWR), client()
open(sys.argv[3], "w").close()
open(sys.argv[4]).close()
"""
"""What the programs below begin with. They wait here until the tracer knows where their Python is."""


class Sent(NamedTuple):
    """The sends of a program's other threads and processes."""

    asked: list[bytes]  # the first bytes of those that the main thread asked for since the last `begin` before them
    others: list[bytes]


def run(loaded: Loaded, directory: Path, peers: Peers, text: str, *python: str, goes: int = 1) -> Sent:
    """What a program sends whose main thread is a runner's. It waits at its beginning, and perhaps again, to go on."""
    return _judge(*record(loaded, directory, peers, text, *python, goes=goes))


def record(
    loaded: Loaded, directory: Path, peers: Peers, text: str, *python: str, goes: int = 1
) -> tuple[int, list[SocketEvent]]:
    """The pid of such a program, and its events."""
    fifo, ready, go = (directory / name for name in ("boundaries", "ready", "go"))
    for path in (fifo, ready, go):
        os.mkfifo(path)
    _, *arguments = script(BEGIN + dedent(text), peers, *map(str, (fifo, ready, go)))
    events: list[Event] = []
    with running(loaded, *(python or (sys.executable,)), *arguments, fifo=fifo) as command:
        for _ in range(goes):
            ready.open().close()
            events += command.session.drain()  # looks the Python up
            go.open("w").close()
        while os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            events += command.session.drain()
            time.sleep(0.005)
        events += command.session.drain()
        events += command.session.drain()  # what the tallies counted
        assert command.session.lost() == command.lost_before
    exits = [event for event in events if isinstance(event, TaskEvent) and event.kind == Kind.EXIT]
    assert [event.status for event in exits if event.process == COMMAND_PROCESS] == [0]
    return command.pid, [event for event in events if isinstance(event, SocketEvent)]


def _judge(tid: int, events: list[SocketEvent]) -> Sent:
    sent, begin_ns, runner = Sent([], []), 0, (COMMAND_PROCESS, tid)
    for event in sorted((event for event in events if event.kind == Kind.SEND), key=lambda event: event.ns):
        if (event.process, event.tid) == runner:
            assert (event.cause_process, event.cause_tid, event.cause_ns) == (*runner, event.ns)
            begin_ns = event.ns if event.head == b"begin" else begin_ns
        else:
            asked = (event.cause_process, event.cause_tid) == runner and 0 < begin_ns <= event.cause_ns
            (sent.asked if asked else sent.others).extend([event.head] * event.sends)
    return sent


@pytest.fixture(scope="module")
def loaded(_unloads_everything: None) -> Iterator[Loaded]:
    with capturing() as loaded:
        assert loaded.lacks_causes == ""
        yield loaded


def test_a_thread_of_a_pool_that_the_runner_wakes(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    text = """
        pool = ThreadPoolExecutor(1)
        s = pool.submit(client).result()
        pool.submit(s.send, b"before").result()
        for turn in range(3):
            begin()
            pool.submit(s.send, b"after").result()
    """
    assert run(loaded, tmp_path, peers, text) == ([b"after"] * 3, [b"before"])


def test_all_jobs_of_a_backlog(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    """The first job wakes the thread; the others find it running."""
    text = """
        pool = ThreadPoolExecutor(1)
        s = pool.submit(client).result()
        begin()
        for job in [pool.submit(s.send, b"job") for turn in range(20)]: job.result()
    """
    assert run(loaded, tmp_path, peers, text) == ([b"job"] * 20, [])


def test_a_chain_of_threads(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    text = """
        first, second, done = queue.Queue(), queue.Queue(), queue.Queue()
        def pass_on():
            while what := first.get(): second.put(what)
            second.put(None)
        def send():
            s = client()
            while what := second.get(): done.put(s.send(what))
        for target in pass_on, send: threading.Thread(target=target).start()
        begin()
        first.put(b"job")
        done.get()
        first.put(None)
    """
    assert run(loaded, tmp_path, peers, text) == ([b"job"], [])


def test_another_process_that_reads_a_pipe(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    text = """
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            s = client()
            os.close(write)
            while what := os.read(read, 3): s.send(what)
            os._exit(0)
        while ") S " not in open(f"/proc/{child}/stat").read(): pass
        begin()
        os.write(write, b"job")
        os.close(write)
        os.wait()
    """
    assert run(loaded, tmp_path, peers, text) == ([b"job"], [])


def sees_loopback() -> bool:
    """Whether wake-ups by loopback's TCP can be causes on this kernel."""
    return bool(features.tracepoint(Library(), "sk_data_ready").answer)


@pytest.mark.parametrize("pair", ["unix", "tcp"])
def test_an_event_loop_that_a_socket_wakes(loaded: Loaded, peers: Peers, tmp_path: Path, pair: str) -> None:
    """The loopback device delivers what a TCP socket sends in an interrupt's context, within the call that sends."""
    text = f"""
        def tcp_pair():
            with create_server(("127.0.0.1", 0)) as server:
                one = create_connection(server.getsockname())
                return one, server.accept()[0]
        sending, receiving = tcp_pair() if {pair!r} == "tcp" else socketpair()
        def loop():
            s = client()
            while select.select([receiving], [], []) and receiving.recv(1) == b"1": s.send(b"job")
        thread = threading.Thread(target=loop)
        thread.start()
        begin()
        sending.send(b"1")
        settle()
        sending.send(b"0")
        thread.join()
    """
    seen = pair == "unix" or sees_loopback()
    assert run(loaded, tmp_path, peers, text) == (([b"job"], []) if seen else ([], [b"job"]))


POLL: Final = """
    def poll():
        global polls
        while not stop:
            WAIT
            s.send(b"poll")
            polls += 1
    def wait_for_job():
        with suppress(queue.Empty): jobs.get(timeout=0.001)
    zero, buffers = os.open("/dev/zero", os.O_RDONLY), [bytearray(1 << 18)]
    stop, polls, s, jobs, event, nothing = False, 0, client(), queue.Queue(), threading.Event(), select.poll()
    thread = threading.Thread(target=poll)
    thread.start()
    begin(settled=False)
    until = time.monotonic() + 0.3
    while time.monotonic() < until or polls <= 5:
        WORK
    stop = True
    thread.join()
"""
COMPUTING: Final = "sum(range(1000))"


def polling(wait: str, work: str) -> str:
    return POLL.replace("WAIT", wait).replace("WORK", work)


@pytest.mark.parametrize("wait", ["time.sleep(0.001)", "event.wait(0.001)", "nothing.poll(1)", "wait_for_job()"])
def test_a_thread_that_a_timer_wakes(loaded: Loaded, peers: Peers, tmp_path: Path, wait: str) -> None:
    """The runner computes meanwhile: both threads wait for the interpreter's lock in turn."""
    sent = run(loaded, tmp_path, peers, polling(wait, COMPUTING))
    assert sent.asked == []
    assert len(sent.others) > 5


def test_a_timer_that_interrupts_the_runners_calls(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    text = """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    """
    sent = run(loaded, tmp_path, peers, text + polling("time.sleep(0.001)", "os.readv(zero, buffers)"))
    assert sent.asked == []
    assert len(sent.others) > 5


def test_a_thread_that_waits_for_a_lock_within_the_kernel(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    """Two threads that write to one file wait in turn for the lock of its inode."""
    text = """
    file, data = os.memfd_create("file"), bytes(1 << 20)
    """
    write = "os.pwrite(file, data, 0)"
    sent = run(loaded, tmp_path, peers, text + polling(f"time.sleep(0.001); {write}", write))
    assert sent.asked == []
    assert len(sent.others) > 5


def test_an_executed_program_has_no_python_until_it_is_found(loaded: Loaded, tmp_path: Path) -> None:
    """Otherwise, the first one's addresses would be taken for its own."""
    ready, go, executed = (tmp_path / name for name in ("ready", "go", "executed"))
    for path in (ready, go, executed):
        os.mkfifo(path)
    text = """
import os, sys
open(sys.argv[1], "w").close()
open(sys.argv[2]).close()
os.execv("/bin/sh", ["sh", "-c", ': > "$1"', "sh", sys.argv[3]])
"""
    with running(loaded, sys.executable, "-I", "-S", "-c", text, *map(str, (ready, go, executed))) as command:
        assert isinstance(command.session, BpfSession)
        ready.open().close()
        assert [*command.session.drain()]
        assert command.session._interpreters._is_known(COMMAND_PROCESS)
        go.open("w").close()
        executed.open().close()
        assert not command.session._interpreters._is_known(COMMAND_PROCESS)
        os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOWAIT)
        assert [*command.session.drain()]


def changed_probes(directory: Path, text: str, changed: str) -> Path:
    """The compiled probes, with another text in causes.h."""
    shutil.copytree(SOURCES, directory / "probes")
    header = directory / "probes" / "causes.h"
    assert header.read_text().count(text) == 1
    header.write_text(header.read_text().replace(text, changed))
    compile_probes(directory / "probes" / "svc_trace.bpf.c", directory / "svc_trace.bpf.o")
    return directory / "svc_trace.bpf.o"


CHECK: Final = "return here >= bottom && here < (__u64)regs && (long)NUMBER(regs) >= 0;"
ALWAYS: Final = "return here || bottom || regs;"


@pytest.mark.parametrize(
    ("text", "changed", "reason"),
    [
        (
            CHECK,
            "return (here || bottom || regs) && false;",
            "this kernel does not show which system call wakes a thread",
        ),
        (
            *(CHECK, ALWAYS),
            "this kernel does not show whether a system call or a timer wakes a thread",
        ),
        (
            "other = find_task(woken)",
            "other = (void *)FIELD(woken, stack)",
            "this kernel refuses the probe at sched_waking",
        ),
    ],
    ids=["no calls", "timers too", "refused"],
)
def test_a_kernel_without_causes(
    text: str, changed: str, reason: str, peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other stacks, the check for a call is always false, or always true. All else works."""
    monkeypatch.setattr(libbpf, "OBJECT", changed_probes(tmp_path, text, changed))
    with closing(LibbpfBackend().start()) as probes:
        assert probes.lacks_causes == reason
        with ended(probes, *script("create_connection(P.tcp).send(b'1')", peers)) as command:
            events = [event for event in command.session.drain() if isinstance(event, SocketEvent)]
    assert {event.kind for event in events} == {Kind.CONNECT, Kind.CONNECT_RESULT, Kind.SEND}
    assert {event.cause_ns for event in events} == {UNKNOWN_CAUSE}


def test_the_trial_on_a_busy_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers that interrupt another process than the runner show nothing."""
    monkeypatch.setattr(libbpf, "OBJECT", changed_probes(tmp_path, CHECK, ALWAYS))
    processors = os.sched_getaffinity(0)
    spin = (sys.executable, "-I", "-S", "-c", "while 1: pass")
    with ExitStack() as busy:
        busy.callback(os.sched_setaffinity, 0, processors)
        os.sched_setaffinity(0, {min(processors)})  # for the trial and the others
        for _ in range(8):
            busy.callback(busy.enter_context(subprocess.Popen(spin)).kill)
        for _ in range(5):
            with closing(LibbpfBackend().start()) as probes:
                reason = probes.lacks_causes
            assert reason == "this kernel does not show whether a system call or a timer wakes a thread"


def interpreters() -> list[str]:
    """This Python, the distribution's and pyenv's: with a shared libpython and without one."""
    places = [Path("/usr/bin"), *Path("~/.pyenv/versions").expanduser().glob("3.*/bin")]
    found = {str(place / "python3") for place in places if (place / "python3").exists()}
    return sorted({sys.executable} | {path for path in found if not re.search(r"/3\.[67]\.", path)})


@pytest.mark.parametrize("python", interpreters())
def test_the_lock_of_any_python(loaded: Loaded, peers: Peers, tmp_path: Path, python: str) -> None:
    pool = """
    pool = ThreadPoolExecutor(1)
    other = pool.submit(client).result()
    """
    job = """
    begin()
    pool.submit(other.send, b"job").result()
    """
    sent = run(loaded, tmp_path, peers, pool + polling("time.sleep(0.001)", COMPUTING) + job, python)
    assert sent.asked == [b"job"]
    assert {*sent.others} == {b"poll"}


def test_the_lock_of_the_python_that_another_one_executed(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    first = (sys.executable, "-I", "-S", "-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])")
    second = next((python for python in interpreters() if python != sys.executable), sys.executable)
    sent = run(loaded, tmp_path, peers, polling("time.sleep(0.001)", COMPUTING), *first, second)
    assert sent.asked == []
    assert len(sent.others) > 5


def test_the_lock_of_a_forked_process(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    """The runner wakes one thread of the child. Its other thread waits for the child's lock."""
    text = """
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            def poll():
                while not stop:
                    time.sleep(0.001)
                    s.send(b"poll")
            stop, s = False, client()
            thread = threading.Thread(target=poll)
            thread.start()
            os.read(read, 1)
            until = time.monotonic() + 0.3
            while time.monotonic() < until: sum(range(1000))
            client().send(b"asked")
            stop = True
            thread.join()
            os._exit(0)
        reads = dict(x86_64="0", aarch64="63")[os.uname().machine]  # the number of the call in which it waits
        while open(f"/proc/{child}/syscall").read().split()[0] != reads: pass
        begin()
        os.write(write, b".")
        os.wait()
    """
    sent = run(loaded, tmp_path, peers, text)
    assert sent.asked == [b"asked"]
    assert {*sent.others} == {b"poll"}


def test_a_process_outside_of_the_tree(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    """It opens the other end of a FIFO."""
    text = """
        def wait():
            s = client()
            open(sys.argv[3], "w").close()
            open(sys.argv[4]).close()
            s.send(b"after")
        thread = threading.Thread(target=wait)
        thread.start()
        begin()
        thread.join()
    """
    assert run(loaded, tmp_path, peers, text, goes=2) == ([], [b"after"])


def test_the_sends_of_one_epoch_before_and_after_it_was_asked(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    """More than have events of their own: the others are counted."""
    text = """
        jobs, done, began = queue.Queue(), queue.Queue(), False
        def work():
            s = client()
            while not began: time.sleep(0.001)
            for turn in range(40): s.send(b"send")
            done.put(None)
            while count := jobs.get():
                for turn in range(count): s.send(b"send")
                done.put(None)
        os.write(boundaries, b"boundary")
        threading.Thread(target=work).start()  # caused by the same thread, but before the test
        begin(settled=False)
        began = True
        done.get()
        for count in 50, 60:
            settle()
            jobs.put(count)
            done.get()
        jobs.put(0)
    """
    pid, events = record(loaded, tmp_path, peers, text)
    assert _judge(pid, events) == ([b"send"] * 110, [b"send"] * 40)
    own = [event for event in events if event.kind == Kind.SEND and event.head == b"send" and not event.last_ns]
    assert len(own) == 4 + 1 + 1  # those with a prefix, and the first of each tally


@pytest.mark.parametrize("wait", ["pass", "time.sleep(0.001)"], ids=["computes", "waits"])
def test_a_thread_that_has_not_waited_since_before_the_test(
    loaded: Loaded, peers: Peers, tmp_path: Path, wait: str
) -> None:
    """It may find work of the test without being woken. What it wakes is as unsure."""
    text = f"""
        def work():
            while not job: {wait}
            s.send(b"first")
            pool.submit(other.send, b"second").result()
        job, s, pool = [], client(), ThreadPoolExecutor(1)
        other = pool.submit(client).result()
        thread = threading.Thread(target=work)
        thread.start()
        begin(settled=False)
        job.append(True)
        thread.join()
    """
    _, events = record(loaded, tmp_path, peers, text)
    (begun,) = [event for event in events if event.head == b"begin"]
    sent = [event for event in events if event.head in (b"first", b"second")]
    assert [event.head for event in sent] == [b"first", b"second"]
    assert all(event.cause_ns < begun.ns for event in sent)
    before_ns = max(event.ns for event in events if event.ns < begun.ns)  # between the two, the test's epoch began
    assert [event.unsure_from_ns < before_ns < event.unsure_to_ns < begun.ns for event in sent] == [wait == "pass"] * 2


SERVER: Final = """
    server = socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    def serve():
        accepted = server.accept()[0]
        s.send(b"accepted")
        accepted.recv(1)
        s.send(b"received")
        accepted.send(b".")
    s = client()
"""


def test_a_thread_that_serves_the_runner(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    text = """
    threading.Thread(target=serve).start()
    begin()
    connection = create_connection(server.getsockname())
    settle()
    connection.send(b".")
    connection.recv(1)
    """
    served = [b"accepted", b"received"]
    assert run(loaded, tmp_path, peers, SERVER + text) == ((served, []) if sees_loopback() else ([], served))


def test_a_process_that_serves_the_runner(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    """Its answer is no cause: it may be that of another client."""
    text = """
    child = os.fork()
    if child == 0:
        serve()
        os._exit(0)
    def wait():
        connection.recv(1)
        s.send(b"answered")
    settle(child)
    begin()
    connection = create_connection(server.getsockname())
    thread = threading.Thread(target=wait)
    thread.start()
    settle(child)
    begin()
    connection.send(b".")
    thread.join()
    """
    served, answered = [b"accepted", b"received"], [b"answered"]
    sent = run(loaded, tmp_path, peers, SERVER + text)
    assert sent == ((served, answered) if sees_loopback() else ([], served + answered))


def test_a_cause_ends_when_the_next_test_begins(loaded: Loaded, peers: Peers, tmp_path: Path) -> None:
    text = """
        jobs, stop, polls = queue.Queue(), False, 0
        def work():
            global polls
            s = client()
            s.send(jobs.get())
            while not stop:
                time.sleep(0.001)
                s.send(b"poll")
                polls += 1
        def wait_for_polls():
            seen = polls
            while polls < seen + 2:
                time.sleep(0.001)
        thread = threading.Thread(target=work)
        thread.start()
        begin()
        jobs.put(b"job")
        wait_for_polls()
        begin(settled=False)
        mark.send(b"second")
        wait_for_polls()
        stop = True
        thread.join()
    """
    sent = run(loaded, tmp_path, peers, text)
    assert sent.asked[0] == b"job"
    assert {*sent.asked[1:]} == {*sent.others} == {b"poll"}
