"""The plugin for a session: its span and those of its collection. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import pytest

from .attempts import Tests, file_nodeid
from .channel import CLOSE, Channel, quote
from .wrappers import Wrapper, outermost


def open_session(channel: Channel, config: pytest.Config) -> None:
    """Register the plugin for a new session of this process, and report that the session opens."""
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
        self.channel.send(CLOSE % (self.span, self.channel.clock()))

    @outermost
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Wrapper:
        span = self.safely(self._open_collection, collector)
        try:
            return (yield)
        finally:
            if span is not None:
                self.safely(self._close_collection, span)

    def _open_collection(self, collector: pytest.Collector) -> int | None:
        if isinstance(collector, pytest.Package) or collector.getparent(pytest.File) is None:  # type: ignore[type-abstract]
            return None
        span = next(self.channel.ids)
        module = quote(file_nodeid(collector))
        self.channel.send('["open",%d,%d,"collection",%s]' % (span, self.channel.clock(), module))
        return span

    def _close_collection(self, span: int) -> None:
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
