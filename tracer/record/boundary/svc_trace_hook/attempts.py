"""The plugins for tests: their spans, phases and outcomes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any, Callable, Iterable

import pytest

from .channel import Channel, dumps, quote
from .fixtures import OLD_STYLE, Fixtures, Wrapper, outermost, plain_nodeid, static_facts

INTERRUPTED = '["interrupted",%d,%d]'
REPORT = '["report",%d,"%s","%s"]'
PHASES = ("setup", "call", "teardown")
XFAIL_OUTCOMES = {"skipped": "xfailed", "passed": "xpassed"}
INTERRUPTIONS = (KeyboardInterrupt, pytest.exit.Exception)  # pytest makes no report of these
REPORTS_IN_CHILD = "svc_trace_reports_in_child"


class NotRun:
    """The plugin for a session that never calls its tests. pytest reports only their set-up and their teardown."""

    def __init__(self, tests: Tests) -> None:
        self.tests = tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        self.tests.safely(self.tests.report_not_run)


class Attempt:
    """One execution of a test."""

    __slots__ = ("active", "known", "pid", "reported", "running", "span")

    def __init__(self, pid: int, span: int, active: Any) -> None:
        self.pid = pid  # if a child of the test continues the session, all it does is in its parent's span
        self.span = span
        self.active = active  # the active FixtureDefs by name; pytest adds to it
        self.known = 0  # length of `active` when `report_uses` last looked at it
        self.running = True  # until the last finalizer has ended
        self.reported: set[int] | None = None  # instances that were reported as used


class Tests:
    """The tests of a session, and the plugins for them."""

    def __init__(self, channel: Channel) -> None:
        self.channel, self.safely = channel, channel.safely
        # The key is the thread: several can run tests at once. Node ids repeat, and suites change those of reports.
        self.attempts: dict[int, Attempt] = {}
        self.fixtures = Fixtures(channel, self.report_uses)
        self.open_test, self.open_phase, self.close_test = self._make_functions()
        self.boundaries = self._make_boundaries()

    def _make_functions(self) -> tuple[Callable[[Any], None], Callable[[str], None], Callable[[], None]]:
        """The functions that open a test, open its next phase, and close it."""
        channel, attempts, report_uses = self.channel, self.attempts, self.report_uses
        send, clock, get_ident, ids = channel.send, channel.clock, channel.get_ident, channel.ids
        # Tests come class by class, and most have the same facts as the test before. Of the test before: its parent,
        # its fixtures' names, the facts that its process had reported, its own facts. Replaced as a whole, because
        # several threads can run tests.
        shared: tuple[Any, Any, Any, int] = (None, None, None, 0)

        def open_test(item: Any) -> None:
            nonlocal shared
            try:  # as in `Channel.safely`, without its call
                if channel.on:
                    span = next(ids)
                    nodeid = item.nodeid if channel.worker is None else plain_nodeid(item)
                    try:
                        names, active = item.fixturenames, item._request._fixture_defs
                    except AttributeError:  # not a function
                        names, active = [], {}
                    parent, shared_names, known, facts = shared
                    if (
                        item.parent is not parent
                        or item.own_markers
                        or names != shared_names
                        or channel.facts_ids is not known
                    ):
                        facts = channel.facts_id(static_facts(item, names))
                        parent = None if item.own_markers else item.parent  # its neighbours do not have its own markers
                        shared = (parent, list(names), channel.facts_ids, facts)
                    send(f'["open",{span},{clock()},"test",{quote(nodeid)},{facts}]')
                    attempts[get_ident()] = Attempt(channel.pid, span, active)
                    if channel.forked:
                        self._report_in_child(item.config)
            except Exception:
                channel.turn_off()

        def open_phase(phase: str) -> None:
            try:
                attempt = attempts.get(get_ident())
                if attempt is not None and attempt.pid == channel.pid and channel.on:
                    if len(attempt.active) != attempt.known:
                        report_uses()
                    send(f'["phase",{clock()},"{phase}"]')
            except Exception:
                channel.turn_off()

        def close_test() -> None:
            try:
                attempt = attempts.get(get_ident())
                if attempt is not None and attempt.pid == channel.pid and channel.on:
                    attempt.running = False
                    if len(attempt.active) != attempt.known:
                        report_uses()
                    send(f'["close",{attempt.span},{clock()}]')
            except Exception:
                channel.turn_off()

        return open_test, open_phase, close_test

    def _make_boundaries(self) -> object:
        """The plugin that opens each test and its phases, closes it, and takes its reports."""
        open_test, open_phase, close_test = self.open_test, self.open_phase, self.close_test
        channel, attempts, get_ident = self.channel, self.attempts, self.channel.get_ident
        safely, report_failed_instance, take_report = self.safely, self._report_failed_instance, self.take_report

        class Boundaries:
            @outermost
            def pytest_runtest_setup(self, item: pytest.Item) -> Wrapper:
                __tracebackhide__ = True
                open_test(item)
                try:
                    outcome = yield
                except BaseException as error:
                    safely(report_failed_instance, error)
                    raise
                if OLD_STYLE and outcome.excinfo is not None:
                    safely(report_failed_instance, outcome.excinfo[1])
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
                    raise  # the teardown has not ended: see `close_interrupted`
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
                        take_report(report)
                    if report.when == "teardown":
                        attempts.pop(get_ident(), None)  # after an interruption it is empty
                except Exception:
                    channel.turn_off()

        return Boundaries()

    def _current(self) -> Attempt | None:
        """This thread's test, if this process opened it. The functions for each test look it up themselves."""
        attempt = self.attempts.get(self.channel.get_ident())
        return attempt if attempt is not None and attempt.pid == self.channel.pid else None

    def take_report(self, report: Any) -> None:
        """Take a report that did not pass, except that of a forked child: the child sends that itself."""
        if self.channel.on and not self.channel.forked:
            self.send_outcome(report)

    def send_outcome(self, report: Any, *, subtest: bool = False) -> None:
        """Send the outcome of a phase of this thread's test. The controller of xdist has none: it logs its workers'."""
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
            self.channel.queue(REPORT % (attempt.span, report.when, outcome))
        if report.when == "teardown" and attempt.running:  # an interruption became a failure, as with --pdb
            self.close_test()

    def report_not_run(self) -> None:
        """Report that this thread's test had no call."""
        attempt = self._current()
        if attempt is not None:
            self.channel.queue(REPORT % (attempt.span, "call", "not run"))

    def _report_in_child(self, config: pytest.Config) -> None:
        """Take a forked child's reports where they are made: the child may leave logging to its parent, and end."""
        tests = self

        class Reports:
            calling = False  # reports made during the call are of subtests

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
                tests.safely(tests.take_report_in_child, outcome, self.calling)
                return outcome

        if not config.pluginmanager.has_plugin(REPORTS_IN_CHILD):
            config.pluginmanager.register(Reports(), REPORTS_IN_CHILD)

    def take_report_in_child(self, outcome: Any, subtest: bool) -> None:
        """Take a report in a forked child. After that of the teardown the child may end at any time."""
        report = outcome.get_result() if OLD_STYLE else outcome
        self.send_outcome(report, subtest=subtest)
        if report.when == "teardown":
            self.attempts.pop(self.channel.get_ident(), None)
            self.channel.flush()

    def close_interrupted(self) -> None:
        """Close the tests whose teardown did not end, as after Ctrl-C."""
        for attempt in list(self.attempts.values()):  # a copy: other threads may continue
            if attempt.running and attempt.pid == self.channel.pid:
                self.channel.queue(INTERRUPTED % (attempt.span, self.channel.clock()))
        self.attempts.clear()

    def report_uses(self) -> None:
        """Report the wide instances that this thread's test has requested since the last call."""
        attempt = self._current()
        if attempt is not None:
            attempt.known = len(attempt.active)
            self._queue_uses(attempt, self.fixtures.wide_ids(attempt.active.values()))

    def _report_failed_instance(self, error: BaseException) -> None:
        """Report that this thread's test uses the wide fixture whose failed set-up has just made the test fail."""
        attempt = self._current()
        if attempt is not None:
            self._queue_uses(attempt, self.fixtures.failed_with(error))

    def _queue_uses(self, attempt: Attempt, instances: Iterable[int]) -> None:
        reported = attempt.reported or set()
        new = sorted(set(instances) - reported)
        if new:
            attempt.reported = reported.union(new)
            self.channel.queue(dumps(["uses", attempt.span, new]))
