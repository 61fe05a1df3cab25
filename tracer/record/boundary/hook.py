"""The pytest hook: tells the recorder when each span opens and closes, through a FIFO. PYTEST_DONT_REWRITE

One file, standard library and pytest only, Python from 3.8 and pytest from 7.0: the launcher shows it to whatever
pytest the traced command runs (see `folder.py`). Without `SVC_TRACE_FIFO` it does nothing. It never fails, slows or
hangs a test: any error of its own turns it off for good.

Messages are JSON arrays, tag first; `messages.py` is their reading side. Times are CLOCK_MONOTONIC nanoseconds:

    ["hello", ns, python_version, pytest_version, xdist_worker_id|null]     first of each process, forked ones too
    ["open", span, ns, kind, subject]           subject: session: rootdir; collection: the module's node id;
                                                test: [nodeid, facts]; fixture: instance
    ["phase", ns, phase]                        of this thread's test, whose setup opens with it; the one before ends
    ["close", span, ns]                         and all spans within it
    ["interrupted", test_span, ns]              closed by the end of its session, in the middle of a phase
    ["facts", id, path, [fixtures], [markers], [bases], [autouse]]
    ["instance", id, name, scope, baseid, node, param|null]
    ["uses", test_span, [instances]]            what the test requests that is wider than function scope
    ["requires", instance, [instances]]         what an instance requests that is wider than function scope
    ["report", test_span, phase, outcome]       of a phase that did not pass; may come after the test has closed

Spans, instances and facts share one counter, which a forked child continues: an id below its own first ones is its
parent's. Spans that were open at the fork are the parent's alone.

What runs for every test is written for speed: it runs amid code that has just emptied the processor's caches, where
each wrapper, call and attribute costs several times what it does in a loop. So all passing tests tell nothing of how
they went, and what they do tell is formatted and written by functions that keep in cells what they need.
"""

# ruff: noqa: ANN401, D102 - what pytest hands to a plugin has no public types, and a hook is explained where pytest is

from __future__ import annotations

import collections
import contextlib
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
import sys
import threading
import time
from platform import python_version
from typing import Any, Callable, Generator, TypeVar

import pytest

PIPE_BUF = 4096  # pipe(7): a write of no more is atomic on Linux
MAX_CHUNKS = 256  # of one packet; a longer one is not told, and is missed by its number
PARAM_LENGTH = 200  # characters of a parameter's id that are told
NO_DESCRIPTOR = 2**31 - 1  # no kernel gives out so high a number: EBADF
OFF = ".off"  # a file next to the FIFO: some hook fell silent
HIGH = 2048  # nobody closes this descriptor and then opens so many that its number is another's
MARK = signal.SIGRTMAX - 1  # what F_GETSIG says of our descriptor, and of hardly any other
SECOND_NS = 10**9
REPORTS_IN_CHILD = "svc_trace_reports_in_child"

# What is told often is formatted by hand; the rest leaves it to json.
OPEN_FIXTURE = '["open",%d,%d,"fixture",%d]'
CLOSE = '["close",%d,%d]'
INTERRUPTED = '["interrupted",%d,%d]'
REPORT = '["report",%d,"%s","%s"]'
PHASES = ("setup", "call", "teardown")
XFAIL_OUTCOMES = {"skipped": "xfailed", "passed": "xpassed"}
INTERRUPTIONS = (KeyboardInterrupt, pytest.exit.Exception)  # of these pytest makes no report

Result = TypeVar("Result")
Wrapper = Generator[None, Any, Any]

quote = json.encoder.encode_basestring_ascii  # everything outside ASCII, lone surrogates too, becomes an escape
dumps = json.JSONEncoder(separators=(",", ":")).encode

try:  # quicker, and from pluggy 1.2
    outermost = pytest.hookimpl(wrapper=True, tryfirst=True)
    OLD_STYLE = False
except TypeError:  # here `yield` gives not the result but an object that has it or the exception
    outermost = pytest.hookimpl(hookwrapper=True, tryfirst=True)
    OLD_STYLE = True


def cut(sender: str, seq: int, messages: str) -> list[bytes]:
    """A packet as numbered chunks, each for one write.

    `sender` is "pidns,pid,tid"; `messages` is JSON, separated by commas.
    """
    size = PIPE_BUF - 128  # a chunk's head holds six numbers of at most 20 digits
    parts = [messages[start : start + size] for start in range(0, len(messages), size)]
    head = "+%s,%d" % (sender, seq)
    return [("%s,%d,%d,%s\n" % (head, index, len(parts), part)).encode("ascii") for index, part in enumerate(parts)]


class Channel:
    """The writing end of the FIFO, one a process, shared by all its sessions.

    A full pipe may cost a run one second and one percent of its time; after that it is off. It is a reading end too,
    which Linux allows (fifo(7)): when the tracer is killed, no write raises SIGPIPE, whatever a test did to that.

    Attributes:
        now: tells messages (JSON, separated by commas), behind all that waits, before its thread does anything more.
    """

    def __init__(self, path: str) -> None:
        # Bound before a test can patch, freeze or fake it, and in an object: freezegun and pyfakefs search modules.
        self.clock = time.monotonic_ns
        self.get_ident = threading.get_ident
        self._getpid, self._get_native_id = os.getpid, threading.get_native_id
        self._open, self._write, self._close, self._fstat, self._stat = os.open, os.write, os.close, os.fstat, os.stat
        self._getrlimit, self._setrlimit, self._poll = resource.getrlimit, resource.setrlimit, select.poll
        self._fcntl = fcntl.fcntl
        self.on = True
        self.path = path
        self.ids = itertools.count(1)
        self.worker: str | None = None
        self.forked = False  # this process was forked by one that had already told something
        self._fd = NO_DESCRIPTOR
        self._unmistakable = NO_DESCRIPTOR  # the same, if its number cannot have become another's
        self._identity: tuple[int, int] | None = None
        self._patience_ns = SECOND_NS
        self._waited_ns = 0
        self._thread = threading.local()
        self._waiting: collections.deque[str] = collections.deque()
        self.now = self._make_now(os.write)
        self._begin()
        os.register_at_fork(after_in_child=self._begin_again)

    def _begin(self) -> None:
        """Own numbers, own facts, nothing told and nothing to tell."""
        self.pid = 0  # until something is told
        self._namespace = 0
        self._seq = itertools.count()
        self.known: dict[tuple[Any, ...], int] = {}  # facts → their id
        self._thread.__dict__.clear()  # a child has no other thread
        self._waiting.clear()

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
            self.turn_off()
            return None

    def turn_off(self) -> None:
        """Fall silent for good, and leave word of it where a full FIFO does not matter."""
        self.on = False
        with contextlib.suppress(OSError):  # the run is over, or the disk is full
            self._close(self._open(self.path + OFF, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

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

    def _make_now(self, write: Callable[[int, bytes], int]) -> Callable[[str], None]:
        thread, waiting, take_waiting, send = self._thread, self._waiting, self._take_waiting, self._send

        def now(messages: str) -> None:
            try:
                sender = thread.sender
            except AttributeError:
                sender = self._introduce()
            if waiting:
                messages = take_waiting() + messages
            seq = next(self._seq)
            line = f"[{sender},{seq},[{messages}]]\n".encode("ascii")
            if len(line) <= PIPE_BUF:  # it is written whole or not at all
                try:
                    write(self._unmistakable, line)
                except OSError:
                    send(line)
            else:
                chunks = cut(sender, seq, messages)
                if len(chunks) <= MAX_CHUNKS:
                    for chunk in chunks:
                        send(chunk)

        return now

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
            ours = self._fcntl(self._fd, fcntl.F_GETSIG) == MARK
        except OSError:
            ours = False
        if ours or self._reopen():
            self._write_or_wait(line)

    def _reopen(self) -> bool:
        """Open the FIFO, far from the low numbers, which suites count and reuse.

        Raises:
            OSError: it is gone.
        """
        try:
            low = self._open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
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
        self._fd = self._move_up(low)
        self._unmistakable = self._fd if self._fd >= HIGH else NO_DESCRIPTOR
        return True

    def _move_up(self, low: int) -> int:
        """Give a descriptor another number: HIGH or more if the hard limit allows it, and be it beyond the soft one."""
        soft, hard = limits = self._getrlimit(resource.RLIMIT_NOFILE)
        lifted = False
        try:
            if soft <= HIGH < hard:
                self._setrlimit(resource.RLIMIT_NOFILE, (min(HIGH + 64, hard), hard))
                lifted = True
            moved = self._fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH if lifted or soft > HIGH else min(200, soft // 2))
        except (OSError, ValueError):
            return low
        finally:
            if lifted:
                self._setrlimit(resource.RLIMIT_NOFILE, limits)
        self._close(low)
        return moved

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
        self._marker = self.open  # one object, to be told from other finalizers
        self._add_finalizer = fixturedef.addfinalizer
        self._add_finalizer(self.close)
        fixturedef.addfinalizer = self.add_finalizer

    @property
    def wide_ids(self) -> list[int]:
        """What a requester of this instance depends on beyond its own scope."""
        return [self.id] if self.wide else self.requires

    def add_finalizer(self, finalizer: Callable[[], object]) -> None:
        """See that the instance's span opens before the newest of the finalizers.

        They run from the newest to the oldest. A factory adds some during the test, or in another's finalizer.
        """
        self._add_finalizer(finalizer)
        self.channel.quietly(self._add_marker, finalizer)

    def _add_marker(self, finalizer: Any) -> None:
        finish = getattr(getattr(finalizer, "func", None), "__func__", None)
        if finish is type(self.fixturedef).finish:
            return  # of a fixture that requests this one: its finalizers are not ours
        finalizers: Any = getattr(self.fixturedef, "_finalizers", ())
        if finalizers[-2:-1] == [self._marker]:
            finalizers[-2:] = finalizers[:-3:-1]
        else:
            self._add_finalizer(self._marker)

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
        if self.wide:
            self.tests.tell_requested()  # by a finalizer perhaps, of the test in whose teardown it ends
        self.close_span()
        vars(self.fixturedef).pop("addfinalizer", None)
        if self.tests.live.get(id(self.fixturedef)) is self:
            del self.tests.live[id(self.fixturedef)]

    def close_span(self) -> None:
        if self.span:
            span, self.span = self.span, 0
            self.channel.now(CLOSE % (span, self.channel.clock()))


class Attempt:
    """One execution of a test."""

    __slots__ = ("active", "asked", "pid", "running", "span", "told")

    def __init__(self, pid: int, span: int, active: Any) -> None:
        self.pid = pid  # of a child that falls through the fork of a test, all is part of its parent's span
        self.span = span
        self.active = active  # its FixtureDefs by name, as pytest adds them
        self.asked = 0  # how many there were when it was last told what it requests
        self.running = True  # its last finalizer has not ended
        self.told: set[int] | None = None  # instances


class Tests:
    """The hooks around a session's tests."""

    __test__ = False

    def __init__(self, channel: Channel) -> None:
        self.channel, self.quietly = channel, channel.quietly
        # By thread, of which several may run tests at once; node ids repeat, and suites change those of reports.
        self.attempts: dict[int, Attempt] = {}
        self.live: dict[int, Instance] = {}  # id of the FixtureDef → its instance
        self.boundaries, self.close_test = self._make_boundaries()

    @outermost
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Wrapper:
        __tracebackhide__ = True
        defs = getattr(request, "_fixture_defs", {})
        before = len(defs)
        instance = self.quietly(self._open_fixture, fixturedef, request, defs)
        try:
            return (yield)
        finally:
            if instance is not None:
                self.quietly(self._close_fixture, instance, defs, before)

    def _make_boundaries(self) -> tuple[object, Callable[[], None]]:
        """The plugin that opens a test, opens its phases and closes it; and the function that closes it."""
        channel, attempts, tell_requested = self.channel, self.attempts, self.tell_requested
        now, clock, get_ident, ids = channel.now, channel.clock, channel.get_ident, channel.ids
        quietly, tell_failed_instances, hear = self.quietly, self._tell_failed_instances, self.hear
        # Tests come class by class, and most share their facts with the one before: its parent, fixtures' names, the
        # facts its process had told, and its own. Replaced as a whole, for threads.
        shared: tuple[Any, Any, Any, int] = (None, None, None, 0)

        def open_test(item: pytest.Item) -> None:
            nonlocal shared
            if channel.on:
                try:
                    span = next(ids)
                    nodeid = item.nodeid if channel.worker is None else _plain_nodeid(item)
                    try:
                        names, active = item.fixturenames, item._request._fixture_defs  # type: ignore[attr-defined]
                    except AttributeError:  # no function
                        names, active = [], {}
                    parent, shared_names, known, facts = shared
                    if (
                        item.parent is not parent
                        or item.own_markers
                        or names != shared_names
                        or channel.known is not known
                    ):
                        facts = channel.facts(_facts(item, names))
                        parent = None if item.own_markers else item.parent  # they are not its neighbours'
                        shared = (parent, list(names), channel.known, facts)
                    now(f'["open",{span},{clock()},"test",[{quote(nodeid)},{facts}]]')
                    attempts[get_ident()] = Attempt(channel.pid, span, active)
                    if channel.forked:
                        self._report_in_child(item.config)
                except Exception:  # as in `Channel.quietly`, without its call
                    channel.turn_off()

        def open_phase(phase: str) -> None:
            attempt = attempts.get(get_ident())
            if attempt is not None and attempt.pid == channel.pid and channel.on:
                try:
                    if len(attempt.active) != attempt.asked:
                        tell_requested()
                    now(f'["phase",{clock()},"{phase}"]')
                except Exception:
                    channel.turn_off()

        def close_test() -> None:
            attempt = attempts.get(get_ident())
            if attempt is not None and attempt.pid == channel.pid and channel.on:
                try:
                    attempt.running = False
                    if len(attempt.active) != attempt.asked:
                        tell_requested()
                    now(f'["close",{attempt.span},{clock()}]')
                except Exception:
                    channel.turn_off()

        class Boundaries:
            @outermost
            def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
                __tracebackhide__ = True
                open_test(item)
                try:
                    outcome = yield
                except BaseException as error:
                    quietly(tell_failed_instances, error)
                    raise
                if OLD_STYLE and outcome.excinfo is not None:
                    quietly(tell_failed_instances, outcome.excinfo[1])
                else:
                    open_phase("call")
                return outcome

            @outermost
            def pytest_runtest_teardown(self) -> Wrapper:
                __tracebackhide__ = True
                open_phase("teardown")
                try:
                    outcome = yield
                except INTERRUPTIONS:
                    raise  # it has not ended: see `close_interrupted`
                except BaseException:
                    close_test()
                    raise
                if not (OLD_STYLE and outcome.excinfo is not None and isinstance(outcome.excinfo[1], INTERRUPTIONS)):
                    close_test()
                return outcome

            @pytest.hookimpl(tryfirst=True)
            def pytest_runtest_logreport(self, report: Any) -> None:
                try:
                    if report.outcome != "passed" or hasattr(report, "wasxfail"):
                        hear(report)
                    if report.when == "teardown":
                        attempts.pop(get_ident(), None)  # an interruption may have cleared them
                except Exception:
                    channel.turn_off()

        return Boundaries(), close_test

    def _current(self) -> Attempt | None:
        """This thread's test, if this process opened it. What runs for every test looks it up by itself."""
        attempt = self.attempts.get(self.channel.get_ident())
        return attempt if attempt is not None and attempt.pid == self.channel.pid else None

    def hear(self, report: Any) -> None:
        """Take a report that is no pass, unless it is a forked child's, which tells of its own."""
        if self.channel.on and not self.channel.forked:
            self.tell_outcome(report)

    def tell_outcome(self, report: Any, *, subtest: bool = False) -> None:
        """Take a report on this thread's test, if it has one: xdist's controller logs those of its workers."""
        attempt = self._current()
        if attempt is None:
            return
        outcome = report.outcome
        if hasattr(report, "wasxfail"):
            outcome = XFAIL_OUTCOMES.get(outcome, "failed")
        elif outcome not in ("passed", "skipped"):
            outcome = "failed"
        subtest = subtest or hasattr(report, "context")
        if report.when in PHASES and (outcome == "failed" or not (outcome == "passed" or subtest)):
            self.channel.later(REPORT % (attempt.span, report.when, outcome))
        if report.when == "teardown" and attempt.running:  # an interruption that became a failure, as with --pdb
            self.close_test()

    def _report_in_child(self, config: pytest.Config) -> None:
        """Hear the reports of a forked child where they are made: it may leave them for its parent to log, and die."""
        tests = self

        class Reports:
            calling = False  # reports that are made meanwhile are subtests'

            @outermost
            def pytest_runtest_call(self) -> Wrapper:
                self.calling = True
                try:
                    return (yield)
                finally:
                    self.calling = False

            @outermost
            def pytest_runtest_makereport(self) -> Wrapper:
                outcome = yield
                tests.quietly(tests.hear_in_child, outcome, self.calling)
                return outcome

        if not config.pluginmanager.has_plugin(REPORTS_IN_CHILD):
            config.pluginmanager.register(Reports(), REPORTS_IN_CHILD)

    def hear_in_child(self, outcome: Any, subtest: bool) -> None:
        """The same, in a child that may end before it tells anything more."""
        report = outcome.get_result() if OLD_STYLE else outcome
        self.tell_outcome(report, subtest=subtest)
        if report.when == "teardown":
            self.attempts.pop(self.channel.get_ident(), None)
            self.channel.flush()

    def close_interrupted(self) -> None:
        """Close the tests whose teardown never came to its end, as after Ctrl-C."""
        for attempt in list(self.attempts.values()):  # other threads may go on
            if attempt.running and attempt.pid == self.channel.pid:
                self.channel.later(INTERRUPTED % (attempt.span, self.channel.clock()))
        self.attempts.clear()

    def _open_fixture(self, fixturedef: Any, request: Any, defs: dict[str, Any]) -> Instance | None:
        if getattr(fixturedef.func, "__name__", "") == "get_direct_param_fixture_func":
            return None  # not a fixture, but how pytest hands over a parameter
        instance = self.live[id(fixturedef)] = Instance(self, fixturedef, request)
        # What it names as arguments is active by now, under its own name too if it overrides another.
        self._require(instance, (defs[name] for name in fixturedef.argnames if name in defs))
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

    def _close_fixture(self, instance: Instance, defs: dict[str, Any], before: int) -> None:
        """End of a set-up.

        What follows the first `before` of the active fixtures it fetched by `getfixturevalue`. Not seen: what it
        fetched so and the test had requested before; this test uses it anyway, but a later one that requests only this
        fixture won't be told to.
        """
        self._require(instance, list(defs.values())[before:])
        if instance.requires:
            self.channel.later(dumps(["requires", instance.id, instance.requires]))
        instance.close_span()

    def _require(self, instance: Instance, fixturedefs: Any) -> None:
        for fixturedef in fixturedefs:
            required = self.live.get(id(fixturedef))
            if required is not None and required is not instance:
                instance.requires += [one for one in required.wide_ids if one not in instance.requires]

    def tell_requested(self) -> None:
        """Tell the wide instances that this thread's test requested since this was last asked."""
        attempt = self._current()
        if attempt is not None:
            attempt.asked = len(attempt.active)
            active = [self.live.get(id(fixturedef)) for fixturedef in attempt.active.values()]
            self._tell_uses(attempt, [one for instance in active if instance is not None for one in instance.wide_ids])

    def _tell_failed_instances(self, error: BaseException) -> None:
        """Tell the wide fixture whose failure, kept since its only set-up, has just failed this thread's test too."""
        attempt = self._current()
        if attempt is None:
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


def _plain_nodeid(item: pytest.Item) -> str:
    """The node id by which pytest selects a test: on older pytests xdist appends @group to it for --dist loadgroup."""
    nodeid = item.nodeid
    plain = "%s::%s" % (item.parent.nodeid if item.parent else "", item.name)
    return plain if nodeid.startswith(plain + "@") else nodeid


def _facts(item: pytest.Item, names: list[str]) -> tuple[Any, ...]:
    """Path, fixture closure, markers (nearest first, without repeats), the class and its bases, autouse fixtures."""
    markers: dict[str, None] = {}
    bases: tuple[str, ...] = ()
    node: Any = item
    while node is not None:
        markers.update(dict.fromkeys(mark.name for mark in node.own_markers))
        if not bases and isinstance(node, pytest.Class):
            mro = (base for base in node.obj.__mro__ if base is not object)
            bases = tuple("%s.%s" % (base.__module__, base.__qualname__) for base in mro)
        node = node.parent
    return _file(item), tuple(names), tuple(markers), bases, _autouse(item, names)


def _autouse(item: Any, names: list[str]) -> tuple[str, ...]:
    """Those of the fixtures that are active without being asked for."""
    found = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    told = getattr(item.session._fixturemanager, "_nodeid_autousenames", {})  # where a FixtureDef does not say it

    def comes_unasked(fixturedef: Any) -> bool:
        return bool(getattr(fixturedef, "_autouse", fixturedef.argname in told.get(fixturedef.baseid or "", ())))

    return tuple(name for name in names if any(map(comes_unasked, found.get(name, ())[-1:])))


def _file(node: Any) -> str:
    """The node id of the file a node is in, whose name may hold `::` too."""
    file = node.getparent(pytest.File)
    return str((node if file is None else file).nodeid)


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
        try:
            return (yield)
        finally:
            if span is not None:
                self.quietly(self._close_collection, span)

    def _open_collection(self, collector: pytest.Collector) -> int | None:
        if isinstance(collector, pytest.Package) or collector.getparent(pytest.File) is None:  # type: ignore[type-abstract]
            return None
        span = next(self.channel.ids)
        module = quote(_file(collector))
        self.channel.now('["open",%d,%d,"collection",%s]' % (span, self.channel.clock(), module))
        return span

    def _close_collection(self, span: int) -> None:
        self.channel.now(CLOSE % (span, self.channel.clock()))

    @outermost
    def pytest_runtestloop(self) -> Wrapper:
        self.quietly(self._register_tests)
        return (yield)

    def _register_tests(self) -> None:
        # pluggy calls those first that came last: only now is every conftest's own wrapper within ours.
        if not self.config.pluginmanager.is_registered(self.tests):
            self.config.pluginmanager.register(self.tests)
            self.config.pluginmanager.register(self.tests.boundaries)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self.quietly(self.channel.flush)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self.quietly(self._close)


# A suite that purges sys.modules and runs pytest again gets this module anew; the process still has one channel.
_channel = getattr(sys, "_svc_trace_channel", None)
if _channel is None and "SVC_TRACE_FIFO" in os.environ:
    _channel = sys._svc_trace_channel = Channel(os.environ["SVC_TRACE_FIFO"])  # type: ignore[attr-defined]


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
