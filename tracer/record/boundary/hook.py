"""The pytest hook: tells the recorder when each span opens and closes, through a FIFO. PYTEST_DONT_REWRITE

One file, standard library and pytest only, Python from 3.8 and pytest from 7.0: the launcher shows it to whatever
pytest the traced command runs, by `PYTEST_PLUGINS`. Without `SVC_TRACE_FIFO` it does nothing. It never fails, slows
or hangs a test: any error of its own turns it off for good.

Messages are JSON arrays, tag first; `messages.py` is their reading side. Times are CLOCK_MONOTONIC nanoseconds:

    ["hello", ns, python_version, pytest_version, xdist_worker_id|null]     first of each process, forked ones too
    ["open", span, ns, kind, subject]           subject: session: rootdir; collection: the module's node id;
                                                test: [nodeid, facts]; phase: null; fixture: instance
    ["close", span, ns]                         and all spans within it; a phase also ends where the next one opens
    ["facts", id, path, [fixtures], [markers], [bases]]
    ["instance", id, name, scope, baseid, node, param|null]
    ["uses", test_span, [instances]]            what the test requests that is wider than function scope
    ["requires", instance, [instances]]         what an instance requests that is wider than function scope
    ["report", test_span, phase, outcome, duration_s]   a test's are told together, after it closed

Spans, instances and facts share one counter, which a forked child continues: an id below its own first ones is its
parent's. Spans that were open at the fork are the parent's alone.
"""

# ruff: noqa: ANN401, D102 - what pytest hands to a plugin has no public types, and a hook is explained where pytest is

from __future__ import annotations

import collections
import errno
import fcntl
import itertools
import json
import json.encoder
import os
import resource
import select
import signal
import stat
import threading
import time
from _signal import getsignal  # type: ignore[import-not-found]  # signal's own costs eightfold, for its enum
from platform import python_version
from typing import Any, Callable, Generator, TypeVar

import pytest

PIPE_BUF = 4096  # pipe(7): a write of no more is atomic on Linux
MAX_CHUNKS = 256  # of one packet; a longer one is not told, and is missed by its number
PARAM_LENGTH = 200  # characters of a parameter's id that are told
NO_DESCRIPTOR = 2**31 - 1  # no kernel gives out so high a number: EBADF
MARK = signal.SIGRTMAX - 1  # what F_GETSIG says of our descriptor, and of hardly any other
SIGPIPE, SIG_IGN = int(signal.SIGPIPE), int(signal.SIG_IGN)
F_GETSIG = fcntl.F_GETSIG
SECOND_NS = 10**9
REPORTS_IN_CHILD = "svc_trace_reports_in_child"

# The messages of every test are formatted by hand; the others leave it to json.
OPEN_TEST = '["open",%d,%d,"test",[%s,%d]],["open",%d,%d,"setup",null]'
OPEN_PHASE = '["open",%d,%d,"%s",null]'
OPEN_FIXTURE = '["open",%d,%d,"fixture",%d]'
CLOSE = '["close",%d,%d]'
REPORT = '["report",%d,"%s","%s",%.6f]'
REPORTS_PASSED = ",".join('["report",%%d,"%s","passed",%%.6f]' % phase for phase in ("setup", "call", "teardown"))
ALL_PASSED = ["passed"] * 3
XFAIL_OUTCOMES = {"skipped": "xfailed", "passed": "xpassed"}
LONGEST_S = 1e9

Result = TypeVar("Result")
Wrapper = Generator[None, Any, None]

quote = json.encoder.encode_basestring_ascii  # everything outside ASCII, lone surrogates too, becomes an escape
dumps = json.JSONEncoder(separators=(",", ":")).encode
outermost = pytest.hookimpl(hookwrapper=True, tryfirst=True)


def encode(sender: str, seq: int, messages: str) -> bytes:
    """One packet, to be written at once if it does not exceed PIPE_BUF.

    `sender` is "pidns,pid,tid"; `messages` is JSON, separated by commas.
    """
    return f"[{sender},{seq},[{messages}]]\n".encode("ascii")


def cut(sender: str, seq: int, messages: str) -> list[bytes]:
    """The same packet as numbered chunks, each for one write."""
    size = PIPE_BUF - 128  # a chunk's head holds six numbers of at most 20 digits
    parts = [messages[start : start + size] for start in range(0, len(messages), size)]
    head = "+%s,%d" % (sender, seq)
    return [("%s,%d,%d,%s\n" % (head, index, len(parts), part)).encode("ascii") for index, part in enumerate(parts)]


class Channel:
    """The writing end of the FIFO, one a process, shared by all its sessions.

    A full pipe may cost a run one second and one percent of its time; after that, and when nobody reads, it is off.
    """

    def __init__(self, path: str) -> None:
        # Bound before a test can patch, freeze or fake it, and in an object: freezegun and pyfakefs search modules.
        self.clock = time.monotonic_ns
        self.get_ident = threading.get_ident
        self._getpid, self._get_native_id, self._local = os.getpid, threading.get_native_id, threading.local
        self._open, self._write, self._close, self._fstat, self._stat = os.open, os.write, os.close, os.fstat, os.stat
        self._fcntl, self._getrlimit, self._poll = fcntl.fcntl, resource.getrlimit, select.poll
        self._getsignal, self._mask, self._sigtimedwait = getsignal, signal.pthread_sigmask, signal.sigtimedwait
        self._flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        self.on = True
        self.path = path
        self.ids = itertools.count(1)
        self.worker: str | None = None
        self.forked = False  # this process was forked by one that had already told something
        self._fd = NO_DESCRIPTOR
        self._identity: tuple[int, int] | None = None
        self._patience_ns = SECOND_NS
        self._waited_ns = 0
        self._begin()
        os.register_at_fork(after_in_child=self._begin_again)

    def _begin(self) -> None:
        """Own numbers, own facts, nothing told and nothing to tell."""
        self.pid = 0  # until something is told
        self._namespace = 0
        self._seq = itertools.count()
        self._thread = self._local()
        self.known: dict[tuple[Any, ...], int] = {}  # facts → their id
        self._waiting: collections.deque[str] = collections.deque()

    def _begin_again(self) -> None:
        self.forked = self.forked or self.pid != 0
        self._begin()

    def quietly(self, function: Callable[..., Result], *args: Any) -> Result | None:
        """Call a part of the hook; its errors end at this line, and the hook with them."""
        if not self.on:
            return None
        try:
            return function(*args)
        except Exception:  # KeyboardInterrupt and pytest's own outcomes are not ours to keep
            self.on = False
            return None

    def facts(self, content: tuple[Any, ...]) -> int:
        """The id of these static facts, told before it is first used."""
        known = self.known.get(content)
        if known is None:
            known = self.known[content] = next(self.ids)
            self.later(dumps(["facts", known, *content]))
        return known

    def later(self, message: str) -> None:
        """Tell this in front of the next packet, whichever thread's it is."""
        self._waiting.append(message)

    def now(self, messages: str) -> None:
        """Tell this, and all that waits, before anything else happens on this thread."""
        try:
            sender = self._thread.sender
        except AttributeError:
            sender = self._introduce()
        if self._waiting:
            messages = self._take_waiting() + messages
        seq = next(self._seq)
        line = encode(sender, seq, messages)
        if len(line) <= PIPE_BUF:
            fd = self._fd
            try:  # the common case first: a line is written whole or not at all
                if self._fcntl(fd, F_GETSIG) == MARK and self._getsignal(SIGPIPE) == SIG_IGN:
                    self._write(fd, line)
                    return
            except OSError:
                pass
            self._send(line)
            return
        chunks = cut(sender, seq, messages)
        if len(chunks) <= MAX_CHUNKS:
            for chunk in chunks:
                self._send(chunk)

    def flush(self) -> None:
        """Tell all that waits."""
        if self._waiting:
            self.now(self._take_waiting()[:-1])

    def _take_waiting(self) -> str:
        """Each message is taken by one thread, and has a comma behind it."""
        taken = []
        try:
            while True:
                taken.append(self._waiting.popleft() + ",")
        except IndexError:
            return "".join(taken)

    def _introduce(self) -> str:
        """A thread speaks for the first time, perhaps as its process's first."""
        if not self.pid:
            self._introduce_process()
        sender: str = "%d,%d,%d" % (self._namespace, self.pid, self._get_native_id())
        self._thread.sender = sender
        return sender

    def _introduce_process(self) -> None:
        self.pid = self._getpid()
        try:
            self._namespace = self._stat("/proc/self/ns/pid").st_ino
        except OSError:  # no /proc
            self._namespace = 0
        hello = dumps(["hello", self.clock(), python_version(), pytest.__version__, self.worker])
        self._waiting.appendleft(hello)

    def _send(self, line: bytes) -> None:
        """Write it whatever the test did: closed our descriptor, gave its number to something else, filled the pipe."""
        try:
            ours = self._fcntl(self._fd, F_GETSIG) == MARK
        except OSError:
            ours = False
        if ours or self._reopen():
            # With the reader gone, a write must neither kill by SIGPIPE nor call what a test has set for it.
            before = self._mask(signal.SIG_BLOCK, {SIGPIPE})
            try:
                self._write_or_wait(line)
            except BrokenPipeError:
                if SIGPIPE not in before:
                    self._sigtimedwait({SIGPIPE}, 0)
                raise
            finally:
                self._mask(signal.SIG_SETMASK, before)

    def _reopen(self) -> bool:
        """Open the FIFO, away from the low numbers, which suites count and reuse.

        Raises:
            OSError: it is gone, or nobody reads it.
        """
        try:
            low = self._open(self.path, self._flags)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return False  # the test has taken all descriptors; the packet is missed by its number
            raise
        status = self._fstat(low)
        identity = (status.st_dev, status.st_ino)
        if not stat.S_ISFIFO(status.st_mode) or self._identity not in (None, identity):
            self._close(low)
            raise FileNotFoundError(self.path)
        self._identity = identity
        self._fcntl(low, fcntl.F_SETSIG, MARK)  # without O_ASYNC it does nothing
        high = min(200, self._getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        try:
            self._fd = self._fcntl(low, fcntl.F_DUPFD_CLOEXEC, high)
        except OSError:
            self._fd = low
        else:
            self._close(low)
        return True

    def _write_or_wait(self, line: bytes) -> None:
        while True:
            try:
                self._write(self._fd, line)
                return
            except BlockingIOError:
                self._wait()

    def _wait(self) -> None:
        began_ns = self.clock()
        self._patience_ns = min(SECOND_NS, self._patience_ns + (began_ns - self._waited_ns) // 100)
        poll = self._poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll(max(1, self._patience_ns // 10**6))
        self._waited_ns = self.clock()
        self._patience_ns -= self._waited_ns - began_ns
        if self._patience_ns <= 0:
            raise TimeoutError("nobody reads")


class Instance:
    """One set-up of one fixture, and the finalizers that belong to it."""

    def __init__(self, tests: Tests, fixturedef: Any, request: Any) -> None:
        self.tests, self.channel = tests, tests.channel
        self.fixturedef = fixturedef
        self.id = next(self.channel.ids)
        self.wide = request.scope != "function"
        self.requires: list[int] = []
        self.span = next(self.channel.ids)
        self.newest: Callable[[], None] | None = None  # the newest finalizer that is ours

    @property
    def wide_ids(self) -> list[int]:
        """What a requester of this instance depends on beyond its own scope."""
        return [self.id] if self.wide else self.requires

    def add_finalizer(self, finalizer: Callable[[], None]) -> None:
        self.fixturedef.addfinalizer(finalizer)
        self.newest = finalizer

    def cover_finalizers(self) -> None:
        """See that the span of the finalizers opens before the newest of them, if there are any but ours.

        They run from the newest to the oldest. A factory fixture adds some during the test.
        """
        finalizers = getattr(self.fixturedef, "_finalizers", None)
        if finalizers is None or (finalizers and finalizers[-1] != self.newest):
            self.add_finalizer(self.open)

    def open(self) -> None:
        self.channel.quietly(self._open)

    def close(self) -> None:
        self.channel.quietly(self._close)

    def _open(self) -> None:
        if not self.span:
            self.span = next(self.channel.ids)
            self.channel.now(OPEN_FIXTURE % (self.span, self.channel.clock(), self.id))

    def _close(self) -> None:
        """The end of the finalizers, and of the instance."""
        self.close_span()
        if self.tests.live.get(id(self.fixturedef)) is self:
            del self.tests.live[id(self.fixturedef)]

    def close_span(self) -> None:
        if self.span:
            span, self.span = self.span, 0
            self.channel.now(CLOSE % (span, self.channel.clock()))


class Attempt:
    """One execution of a test."""

    __slots__ = ("pid", "reports", "running", "span", "told")

    def __init__(self, pid: int, span: int) -> None:
        self.pid = pid
        self.span = span
        self.running = True  # its last finalizer has not ended
        self.reports: list[Any] = []
        self.told: set[int] | None = None  # instances


class Tests:
    """The hooks around a session's tests.

    These run for every test, amid code that has just emptied the processor's caches: a wrapper or a call saved here is
    worth microseconds. So only what has to be is a wrapper: the outermost of setup and of teardown.
    """

    __test__ = False

    def __init__(self, channel: Channel) -> None:
        self.channel, self.quietly = channel, channel.quietly
        # By thread, of which several may run tests at once; node ids repeat, and suites change those of reports.
        self.attempts: dict[int, Attempt] = {}
        self.live: dict[int, Instance] = {}  # id of the FixtureDef → its instance
        # Tests come class by class, and most share their facts with the one before: its parent, fixture names, the
        # facts its process had told, and its own. Replaced as a whole, for the threads.
        self._shared: tuple[Any, Any, Any, int] = (None, None, None, 0)

    @outermost
    def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
        if self.channel.on:
            try:
                self._open_test(item)
            except Exception:  # as in `Channel.quietly`, without its call
                self.channel.on = False
        outcome = yield
        if outcome.excinfo is not None:
            self.quietly(self._tell_failed_instances, outcome.excinfo[1])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        if self.channel.on:
            try:
                self._open_phase(item, "call")
            except Exception:
                self.channel.on = False

    @outermost
    def pytest_runtest_teardown(self, item: pytest.Item) -> Wrapper:
        if self.channel.on:
            try:
                self._open_phase(item, "teardown")
            except Exception:
                self.channel.on = False
        yield
        if self.channel.on:
            try:
                self._close_test()
            except Exception:
                self.channel.on = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        channel = self.channel
        if channel.on and not channel.forked:
            try:
                self.hear(report)
            except Exception:
                channel.on = False

    @outermost
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Wrapper:
        defs = getattr(request, "_fixture_defs", {})
        before = len(defs)
        instance = self.quietly(self._open_fixture, fixturedef, request, defs)
        yield
        if instance is not None:
            self.quietly(self._close_fixture, instance, itertools.islice(defs.values(), before, None))

    def _open_test(self, item: pytest.Item) -> None:
        channel, thread = self.channel, self.channel.get_ident()
        before = self.attempts.get(thread)
        if before is not None and before.pid == channel.pid:  # older pytest-rerunfailures never log a rerun's teardown
            self._tell_reports(before)
        span, setup = next(channel.ids), next(channel.ids)
        nodeid = item.nodeid
        names = getattr(item, "fixturenames", [])
        parent, shared_names, known, facts = self._shared
        if item.parent is not parent or item.own_markers or names != shared_names or channel.known is not known:
            facts = channel.facts(_facts(item, nodeid, names))
            parent = None if item.own_markers else item.parent  # they are not its neighbours'
            self._shared = (parent, list(names), channel.known, facts)
        ns = channel.clock()
        channel.now(OPEN_TEST % (span, ns, quote(nodeid), facts, setup, ns))
        self.attempts[thread] = Attempt(channel.pid, span)
        if channel.forked:
            self._report_in_child(item.config)

    def _open_phase(self, item: pytest.Item, phase: str) -> None:
        channel = self.channel
        attempt = self.attempts.get(channel.get_ident())
        if attempt is None or attempt.pid != channel.pid:
            return  # a fork within the test fell through: what it does on its own is part of its parent's span
        defs = getattr(getattr(item, "_request", None), "_fixture_defs", None)
        if defs:
            self._tell_requested(attempt, defs)
        channel.now(OPEN_PHASE % (next(channel.ids), channel.clock(), phase))

    def _close_test(self) -> None:
        channel = self.channel
        attempt = self.attempts.get(channel.get_ident())
        if attempt is not None and attempt.pid == channel.pid:
            attempt.running = False
            channel.now(CLOSE % (attempt.span, channel.clock()))

    def hear(self, report: Any) -> None:
        """Take a report on this thread's test, if it has one: xdist's controller logs those of its workers."""
        channel = self.channel
        attempt = self.attempts.get(channel.get_ident())
        if attempt is not None and attempt.pid == channel.pid:
            attempt.reports.append(report)
            if report.when == "teardown":
                del self.attempts[channel.get_ident()]
                self._tell_reports(attempt)

    def _tell_reports(self, attempt: Attempt) -> None:
        """Tell how the phases of an ended test went, in front of the next packet."""
        reports = attempt.reports
        if [report.outcome for report in reports] == ALL_PASSED:
            setup, call, teardown = reports
            times = (setup.duration, call.duration, teardown.duration)
            ended = teardown.when == "teardown"  # else a subtest is among them
            if ended and not hasattr(call, "wasxfail") and min(times) >= 0.0 and sum(times) <= LONGEST_S:
                span = attempt.span
                self.channel.later(REPORTS_PASSED % (span, times[0], span, times[1], span, times[2]))
                return
        for phase, report in {report.when: report for report in reports}.items():  # those before a phase's last are
            subtests = [one.outcome for one in reports if one.when == phase and one is not report]  # its subtests'
            outcome = report.outcome
            if "failed" in subtests:
                outcome = "failed"
            elif hasattr(report, "wasxfail"):
                outcome = XFAIL_OUTCOMES.get(outcome, "failed")
            elif outcome not in ("passed", "skipped"):
                outcome = "failed"
            duration_s = report.duration
            if not 0.0 <= duration_s <= LONGEST_S:  # a test has frozen pytest's clock; JSON has no infinity
                duration_s = 0.0
            self.channel.later(REPORT % (attempt.span, phase, outcome, duration_s))

    def _report_in_child(self, config: pytest.Config) -> None:
        """Hear the reports of a forked child where they are made: it may leave them for its parent to log, and die."""
        tests = self

        class Reports:
            @outermost
            def pytest_runtest_makereport(self) -> Wrapper:
                outcome = yield
                if outcome.excinfo is None:
                    report = outcome.get_result()
                    tests.quietly(tests.hear, report)
                    if report.when == "teardown":
                        tests.quietly(tests.channel.flush)

        if not config.pluginmanager.has_plugin(REPORTS_IN_CHILD):
            config.pluginmanager.register(Reports(), REPORTS_IN_CHILD)

    def close_interrupted(self) -> None:
        """Close the tests whose teardown never came, as after Ctrl-C, and tell what was reported of them."""
        for attempt in self.attempts.values():
            if attempt.pid == self.channel.pid:
                if attempt.running:
                    self.channel.later(CLOSE % (attempt.span, self.channel.clock()))
                self._tell_reports(attempt)
        self.attempts.clear()

    def _open_fixture(self, fixturedef: Any, request: Any, defs: dict[str, Any]) -> Instance | None:
        if getattr(fixturedef.func, "__name__", "") == "get_direct_param_fixture_func":
            return None  # not a fixture, but how pytest hands over a parameter
        instance = self.live[id(fixturedef)] = Instance(self, fixturedef, request)
        # What it names as arguments is active by now, under its own name too if it overrides another.
        self._require(instance, (defs[name] for name in fixturedef.argnames if name in defs))
        instance.add_finalizer(instance.close)
        baseid = getattr(fixturedef, "baseid", None) or ""
        told = [
            "instance",
            instance.id,
            fixturedef.argname,
            request.scope,
            baseid,
            request.node.nodeid,
            _param(request),
        ]
        self.channel.now(dumps(told) + "," + OPEN_FIXTURE % (instance.span, self.channel.clock(), instance.id))
        return instance

    def _close_fixture(self, instance: Instance, fetched: Any) -> None:
        """End of a set-up.

        `fetched` became active during it, that is by `getfixturevalue`. Not seen: what it fetched so and the test had
        requested before; this test uses it anyway, but a later one that requests only this fixture won't be told to.
        """
        self._require(instance, fetched)
        if instance.requires:
            self.channel.later(dumps(["requires", instance.id, instance.requires]))
        instance.close_span()
        instance.cover_finalizers()

    def _require(self, instance: Instance, fixturedefs: Any) -> None:
        for fixturedef in fixturedefs:
            required = self.live.get(id(fixturedef))
            if required is not None and required is not instance:
                instance.requires += [one for one in required.wide_ids if one not in instance.requires]

    def _tell_requested(self, attempt: Attempt, defs: dict[str, Any]) -> None:
        """Tell the wide instances that the test requested since this was last asked."""
        requested = []
        for fixturedef in defs.values():
            instance = self.live.get(id(fixturedef))
            if instance is not None:
                instance.cover_finalizers()
                requested += instance.wide_ids
        self._tell_uses(attempt, requested)

    def _tell_failed_instances(self, error: BaseException) -> None:
        """Tell the wide fixture whose failure, kept since its only set-up, has just failed this thread's test too."""
        attempt = self.attempts.get(self.channel.get_ident())
        if attempt is None or attempt.pid != self.channel.pid:
            return
        failed = []
        for instance in list(self.live.values()):  # another thread may set one up
            cached = instance.fixturedef.cached_result
            if instance.wide and cached and cached[2] and any(part is error for part in cached[2]):
                failed.append(instance.id)
        self._tell_uses(attempt, failed)

    def _tell_uses(self, attempt: Attempt, instances: list[int]) -> None:
        told = attempt.told or set()
        fresh = sorted(set(instances) - told)
        if fresh:
            attempt.told = told.union(fresh)
            self.channel.later(dumps(["uses", attempt.span, fresh]))


def _facts(item: pytest.Item, nodeid: str, names: Any) -> tuple[Any, ...]:
    """Path, fixture closure, marker names (nearest first, without repeats), names of the class and its bases."""
    markers: dict[str, None] = {}
    bases: tuple[str, ...] = ()
    node: Any = item
    while node is not None:
        markers.update(dict.fromkeys(mark.name for mark in node.own_markers))
        if not bases and isinstance(node, pytest.Class):
            mro = (base for base in node.obj.__mro__ if base is not object)
            bases = tuple("%s.%s" % (base.__module__, base.__qualname__) for base in mro)
        node = node.parent
    return nodeid.partition("::")[0], tuple(names), tuple(markers), bases


def _param(request: Any) -> str | None:
    """A fixture's parameter as the test's id shows it. Never a repr, which is the suite's code."""
    if not hasattr(request, "param"):
        return None
    name = request.fixturename
    callspec = getattr(request._pyfuncitem, "callspec", None)
    params = list(getattr(callspec, "params", ()))
    ids = getattr(callspec, "_idlist", ())
    if len(ids) == len(params) and name in params:  # each stands for one name
        return str(ids[params.index(name)])[:PARAM_LENGTH]
    if type(request.param) in (str, int, float, bool, type(None)):
        return str(request.param)[:PARAM_LENGTH]
    return "%s%d" % (name, request.param_index)


class Session:
    """The hooks around one pytest session; a test may run another one within."""

    def __init__(self, channel: Channel, config: pytest.Config) -> None:
        self.channel, self.quietly = channel, channel.quietly
        self.config = config
        self.tests = Tests(channel)
        self.span = next(channel.ids)

    def open(self) -> None:
        root = quote(str(self.config.rootpath))
        self.channel.now('["open",%d,%d,"session",%s]' % (self.span, self.channel.clock(), root))

    def _close(self) -> None:
        self.tests.close_interrupted()
        self.channel.now(CLOSE % (self.span, self.channel.clock()))

    @outermost
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Wrapper:
        span = self.quietly(self._open_collection, collector)
        yield
        if span is not None:
            self.quietly(self._close_collection, span)

    def _open_collection(self, collector: pytest.Collector) -> int | None:
        if isinstance(collector, pytest.Package) or collector.getparent(pytest.File) is None:  # type: ignore[type-abstract]
            return None
        span = next(self.channel.ids)
        module = quote(collector.nodeid.partition("::")[0])
        self.channel.now('["open",%d,%d,"collection",%s]' % (span, self.channel.clock(), module))
        return span

    def _close_collection(self, span: int) -> None:
        self.channel.now(CLOSE % (span, self.channel.clock()))

    @outermost
    def pytest_runtestloop(self) -> Wrapper:
        self.quietly(self._register_tests)
        yield

    def _register_tests(self) -> None:
        # pluggy calls those first that came last: only now is every conftest's own wrapper within ours.
        if not self.config.pluginmanager.is_registered(self.tests):
            self.config.pluginmanager.register(self.tests)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self.quietly(self.channel.flush)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self.quietly(self._close)


_channel = Channel(os.environ["SVC_TRACE_FIFO"]) if "SVC_TRACE_FIFO" in os.environ else None


def _begin(channel: Channel, config: pytest.Config) -> None:
    if not channel.pid and not channel.forked:
        channel.worker = getattr(config, "workerinput", {}).get("workerid")
    session = Session(channel, config)
    config.pluginmanager.register(session)
    session.open()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Tell of a new session in this process."""
    if _channel is not None:
        _channel.quietly(_begin, _channel, config)
