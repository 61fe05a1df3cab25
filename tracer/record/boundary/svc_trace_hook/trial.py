"""The plugin for a run of a trial: it runs only certain tests, and no failure ends the session. PYTEST_DONT_REWRITE

A file beside the FIFO makes a run one of a trial. It applies to the outermost session of each pytest that the command
starts, and to its workers, but not to sessions that a test starts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from .channel import Channel
from .fixtures import Wrapper, outermost, plain_nodeid

OUTERMOST = "SVC_TRACE_TRIAL"  # a variable of a pytest's environment, and an entry in a worker's input


def begin_trial(channel: Channel, config: Any) -> None:
    """Prepare a session of a trial. The file contains a JSON array of node ids, or null for all tests."""
    file = Path(channel.path).with_name("trial")
    workerinput = getattr(config, "workerinput", None)
    is_within = OUTERMOST in os.environ if workerinput is None else OUTERMOST not in workerinput
    if is_within or not file.exists():
        return
    os.environ[OUTERMOST] = "1"
    config.option.maxfail = 0
    config.option.continue_on_collection_errors = True
    nodeids = json.loads(file.read_text(encoding="ascii"))
    config.pluginmanager.register(Trial(channel, None if nodeids is None else frozenset(nodeids)))


class Trial:
    """The plugin. `nodeids` are the tests to run; None: all."""

    def __init__(self, channel: Channel, nodeids: frozenset[str] | None) -> None:
        self.safely = channel.safely
        self.nodeids = nodeids

    @outermost
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Wrapper:
        result = yield
        self.safely(self._deselect, config, items)
        return result

    def _deselect(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        nodeids = self.nodeids
        if nodeids is None:
            return
        others = [item for item in items if plain_nodeid(item) not in nodeids]
        if others:
            items[:] = [item for item in items if plain_nodeid(item) in nodeids]
            config.hook.pytest_deselected(items=others)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Pass the trial on to a worker of xdist."""
        self.safely(self._pass_on, node)

    def _pass_on(self, node: Any) -> None:
        node.workerinput[OUTERMOST] = "1"
