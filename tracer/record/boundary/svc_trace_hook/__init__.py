"""The pytest hook: it reports when spans open and close, and writes that to a FIFO. PYTEST_DONT_REWRITE

It runs in the pytest of the traced command: Python 3.8 or newer, pytest 7.0 or newer, the standard library and pytest
only, relative imports only. `run_directory.py` copies this package into the run's directory, where pytest finds it as
an installed plugin. Without the variable SVC_TRACE_FIFO it does nothing. It never fails, slows down or hangs a test:
its first error turns it off for the rest of the process.

| module | content |
| --- | --- |
| `channel` | writes messages to the FIFO |
| `attempts` | the plugins for tests: their spans, phases, outcomes and static facts |
| `fixtures` | the plugin for fixtures: their spans, and the instances that tests use |
| `wrappers` | hook wrappers for all supported versions of pluggy |

Each message is a JSON array that begins with a tag; `messages.py` decodes them. Times (`ns`) are nanoseconds of
CLOCK_MONOTONIC:

    ["hello", ns, python_version, pytest_version, xdist_worker_id|null]     first message of a process, also if forked
    ["open", span, ns, kind, subject]           subject: session: rootdir; collection: the module's node id;
                                                fixture: instance
    ["open", span, ns, "test", nodeid, facts]
    ["phase", ns, phase]                        the next phase of this thread's test; `open` begins the setup
    ["close", span, ns]                         closes the span and all spans within it
    ["interrupted", test_span, ns]              the session ends in the middle of a phase, which closes the test
    ["facts", id, {path, [fixtures], [markers], [bases], [autouse]}]
    ["instance", id, name, scope, baseid, node, param|null]
    ["uses", test_span, [instances]]            instances wider than function scope that the test requests
    ["requires", instance, [instances]]         instances wider than function scope that an instance requests
    ["report", test_span, phase, outcome]       a phase did not pass; may come after the test has closed

Spans, instances and facts take their ids from one counter. A forked child continues its parent's counter, so ids below
the child's first own id are the parent's. Spans that were open at the fork belong to the parent only.

The code that runs for each test is written for speed. It runs after code that has emptied the processor's caches, so
each wrapper, call and attribute costs several times more than in a loop. Therefore a phase that passes causes no
report, frequent messages are formatted by hand, and the functions for each test are closures: what they need is in
their cells.
"""

from __future__ import annotations

import os
import sys

import pytest

from .attempts import Tests, file_nodeid
from .channel import CLOSE, Channel, quote
from .wrappers import Wrapper, outermost

# A suite that removes this module from sys.modules and runs pytest again imports it twice; a process has one channel.
_channel = getattr(sys, "_svc_trace_channel", None)
if _channel is None and "SVC_TRACE_FIFO" in os.environ:
    _channel = sys._svc_trace_channel = Channel(os.environ["SVC_TRACE_FIFO"])  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Report that a session opens in this process."""
    if _channel is not None:
        _channel.safely(_open_session, _channel, config)


def _open_session(channel: Channel, config: pytest.Config) -> None:
    if not channel.pid and not channel.forked:
        channel.worker = getattr(config, "workerinput", {}).get("workerid")
    session = Session(channel, config)
    config.pluginmanager.register(session)
    session.open()


class Session:
    """The hooks around one pytest session; a test may run another session inside it."""

    def __init__(self, channel: Channel, config: pytest.Config) -> None:
        self.channel, self.safely = channel, channel.safely
        self.config = config
        self.tests = Tests(channel)
        self.span = next(channel.ids)

    def open(self) -> None:
        root = quote(str(self.config.rootpath))
        self.channel.send('["open",%d,%d,"session",%s]' % (self.span, self.channel.clock(), root))

    def _close(self) -> None:
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

    @outermost
    def pytest_runtestloop(self) -> Wrapper:
        self.safely(self._register_tests)
        return (yield)

    def _register_tests(self) -> None:
        # pluggy calls the wrapper first that was registered last: by now all conftests are, so theirs run inside ours.
        if not self.config.pluginmanager.is_registered(self.tests.fixtures):
            self.config.pluginmanager.register(self.tests.fixtures)
            self.config.pluginmanager.register(self.tests.boundaries)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self.safely(self.channel.flush)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self.safely(self._close)
