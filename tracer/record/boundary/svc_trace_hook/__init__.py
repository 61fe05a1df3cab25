"""The pytest hook: it reports when spans open and close, and writes that to a FIFO. PYTEST_DONT_REWRITE

It runs in the pytest of the traced command: Python 3.8 or newer, pytest 7.0 or newer, the standard library and pytest
only, relative imports only. `run_directory.py` copies this package into the run's directory, where pytest finds it as
an installed plugin. Without the variable SVC_TRACE_FIFO it does nothing. It never fails, slows down or hangs a test:
its first error, even at import, turns it off for the rest of the process. Every other Python or pytest imports this
file too, so its syntax is that of Python 2.7 as well. There the hook is inactive, and only reports that.

| module | content |
| --- | --- |
| `channel` | writes messages to the FIFO |
| `plugin` | sessions and collections, with their spans |
| `conftests` | imports of conftest files, with their spans |
| `attempts` | tests: their spans, phases and outcomes |
| `fixtures` | what a test depends on: its static facts, and fixture instances with their spans |
| `trial` | which tests of a trial run; only `svc-trace verify` needs it |
| `listing` | what pytest has collected; only `svc-trace init` loads it |

Each message is a JSON array that begins with a tag; `packets.py` decodes them. Times (`ns`) are nanoseconds of
CLOCK_MONOTONIC:

    ["hello", ns, python_version, pytest_version, worker|null, testrun|null]    first message of a process, also if
                                                forked; xdist's ids of the worker and of its session
    ["open", span, ns, kind, subject]           subject: session: rootdir; collection: the module's node id;
                                                fixture: instance; conftest: `.`, until the next one
    ["below", conftest_span, directory]         whose tests need what the import did; before its `close`
    ["worker", worker, testrun]                 as in `hello`, if that came before they were known
    ["open", span, ns, "test", nodeid, facts]
    ["phase", ns, phase]                        the next phase of this thread's test; `open` begins the setup
    ["close", span, ns]                         closes the span and all spans within it
    ["interrupted", test_span, ns]              the session ends in the middle of a phase, which closes the test
    ["facts", id, {path, [fixtures], [markers], [bases], [autouse], group}]
    ["instance", id, name, scope, baseid, node, param|null]
    ["uses", test_span, [instances]]            instances wider than function scope that the test requests
    ["requires", instance, [instances]]         instances wider than function scope that an instance requests
    ["plan", session_span, tests]               how many tests the session is about to run
    ["partial", session_span]                   the session left out tests of files that it collected
    ["results", testrun, worker, tests]         for how many tests results arrived from a worker of xdist
    ["report", test_span, phase, outcome]       a phase did not pass; may come after the test has closed. Outcome
                                                `not run`: the test had no call, as with --setup-only
    ["inactive", python_version, pytest_version]    the only message of a process whose Python or pytest is unsupported

Spans, instances and facts take their ids from one counter. A forked child continues its parent's counter, so ids below
the child's first own id are the parent's. Spans that were open at the fork belong to the parent only.

The code that runs for each test is written for speed. It runs after code that has emptied the processor's caches, so
each wrapper, call and attribute costs several times more than in a loop. Therefore a phase that passes causes no
report, frequent messages are formatted by hand, and the functions for each test are closures: what they need is in
their cells.
"""

import json
import os
import stat
import sys

import pytest

_path = os.environ.get("SVC_TRACE_FIFO", "")
_supported = sys.version_info >= (3, 8) and getattr(pytest, "version_tuple", ()) >= (7, 0)  # pytest 7.0 introduced it

try:
    if _path and _supported:
        from .plugin import pytest_configure as pytest_configure
        from .plugin import pytest_load_initial_conftests as pytest_load_initial_conftests
    elif _path:
        _pid, _pidns = os.getpid(), os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 -- Python 2.7
        _message = json.dumps(["inactive", "%d.%d.%d" % sys.version_info[:3], pytest.__version__])
        _fifo = os.open(_path, os.O_WRONLY | os.O_NONBLOCK)
        if stat.S_ISFIFO(os.fstat(_fifo).st_mode):
            os.write(_fifo, ("[%d,%d,%d,0,[%s]]\n" % (_pidns, _pid, _pid, _message)).encode("ascii"))
        os.close(_fifo)
except Exception:
    try:  # noqa: SIM105 -- Python 2.7
        os.close(os.open(_path + ".off", os.O_WRONLY | os.O_CREAT, 0o600))  # as `Channel.turn_off` does
    except Exception:
        pass
