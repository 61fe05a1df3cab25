"""The plugin that pytest loads: sessions and collections, with their spans. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import collections
import os
import sys
from typing import Any, Sequence

import pytest

from .attempts import NotRun, Tests
from .channel import CLOSE, Channel, dumps, quote
from .conftests import Conftests
from .fixtures import Wrapper, file_nodeid, innermost, outermost
from .trial import begin_trial

PLAN = '["plan",%d,%d]'
PARTIAL = '["partial",%d]'
ENDED = (0, 1, 5)  # exit statuses of a session that came to its end: passed, failed, no tests

# A suite that removes this module from sys.modules and runs pytest again imports it twice; a process has one channel.
_channel = getattr(sys, "_svc_trace_channel", None)
if _channel is None and "SVC_TRACE_FIFO" in os.environ:
    _channel = sys._svc_trace_channel = Channel(os.environ["SVC_TRACE_FIFO"])  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Watch the imports of conftest files in this process."""
    if _channel is not None:
        _channel.safely(Conftests, _channel, early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Report that a session opens in this process."""
    if _channel is not None:
        _channel.safely(_open_session, _channel, config)


def _open_session(channel: Channel, config: pytest.Config) -> None:
    if not channel.has_session and not channel.forked:
        workerinput = getattr(config, "workerinput", {})
        channel.worker, channel.testrun = workerinput.get("workerid"), workerinput.get("testrunuid")
        if channel.pid and channel.worker:  # a conftest was imported before
            channel.queue(dumps(["worker", channel.worker, channel.testrun]))
    channel.has_session = True
    session = Session(channel, config)
    config.pluginmanager.register(session)
    session.open()
    begin_trial(channel, config)


class Session:
    """The hooks around one pytest session; a test may run another session inside it."""

    def __init__(self, channel: Channel, config: pytest.Config) -> None:
        self.channel, self.safely = channel, channel.safely
        self.config = config
        self.tests = Tests(channel)
        self.span = next(channel.ids)
        self.is_open = True
        self.is_partial = False  # it left out tests of files that it collected
        self.results = Results(channel)

    def open(self) -> None:
        root = quote(str(self.config.rootpath))
        self.channel.send('["open",%d,%d,"session",%s]' % (self.span, self.channel.clock(), root))

    def _close(self) -> None:
        if self.is_open:
            self.is_open = False
            for (testrun, worker), tests in self.results.tests.items():
                self.channel.queue(dumps(["results", testrun, worker, tests]))
            if self._is_narrowed() or self.is_partial:
                self.channel.queue(PARTIAL % self.span)
            self.tests.close_interrupted()
            self._close_span(self.span)

    @outermost
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Wrapper:
        span = self.safely(self._open_collection, collector)
        try:
            return (yield)
        finally:
            if span is not None:
                self.safely(self._close_span, span)

    def _open_collection(self, collector: pytest.Collector) -> int | None:
        if isinstance(collector, pytest.Package) or collector.getparent(pytest.File) is None:  # type: ignore[type-abstract]
            return None
        span = next(self.channel.ids)
        module = quote(file_nodeid(collector))
        self.channel.send('["open",%d,%d,"collection",%s]' % (span, self.channel.clock(), module))
        return span

    def _close_span(self, span: int) -> None:
        self.channel.send(CLOSE % (span, self.channel.clock()))

    def _is_narrowed(self) -> bool:
        """Whether arguments name tests, or `--lf` leaves out those that passed, which pytest does not report."""
        return any("::" in str(argument) for argument in self.config.args) or bool(self.config.getoption("lf", False))

    @outermost
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Wrapper:
        """Notice tests that a plugin leaves out without a report, as some do that split a suite."""
        before = len(items)
        result = yield
        self.safely(self._leave_out, len(items) < before)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Notice tests that pytest, a plugin or a trial leaves out."""
        self.safely(self._leave_out, items)

    def _leave_out(self, tests: object) -> None:
        """Remember that the session leaves out tests, if `tests` is true."""
        self.is_partial = self.is_partial or bool(tests)

    @outermost
    def pytest_runtestloop(self, session: pytest.Session) -> Wrapper:
        self.safely(self._register_tests)
        self.safely(self._report_plan, session)
        try:
            return (yield)
        finally:
            self.safely(self.channel.flush)

    def _register_tests(self) -> None:
        # pluggy calls the wrapper first that was registered last: by now all conftests are, so theirs run inside ours.
        if not self.config.pluginmanager.is_registered(self.tests.fixtures):
            self.config.pluginmanager.register(self.tests.fixtures)
            self.config.pluginmanager.register(self.tests.boundaries)
            if self.config.getoption("setuponly", False):  # --setup-only or --setup-plan
                self.config.pluginmanager.register(NotRun(self.tests))

    @innermost
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Wrapper:
        """Close the session before a worker of xdist reports its end: from then on, the controller may kill it."""
        result = yield
        self.safely(self._leave_out, session.shouldstop or session.shouldfail or exitstatus not in ENDED)
        self.safely(self._close)
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Close a session that never started, or whose end failed."""
        self.safely(self._close)

    def _report_plan(self, session: pytest.Session) -> None:
        """Report how many tests are about to run. No process of xdist knows that about itself."""
        if self.config.pluginmanager.has_plugin("dsession"):
            self.config.pluginmanager.register(self.results)
        elif self.channel.worker is None and hasattr(session, "items"):  # a plugin may have replaced the collection
            self.channel.send(PLAN % (self.span, len(session.items)))


class Results:
    """The plugin for xdist's controller: it counts the results that arrive, because a worker may not be traced."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.tests: collections.Counter[tuple[str, str]] = collections.Counter()  # ids of the session and the worker

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        self.channel.safely(self._count, report)

    def _count(self, report: Any) -> None:
        worker = getattr(report, "worker_id", None)
        if worker is not None and report.when == "setup":
            self.tests[getattr(report, "testrun_uid", ""), worker] += 1
