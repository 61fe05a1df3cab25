"""The columns of the exported tables: names, types and meanings. docs/fleet.md has the same list.

Columns that a report has too have the report's names. Units are part of the names; times are UTC, without a time zone,
so that the date of a run does not depend on the reader's. Integers and floats have 64 bits, as in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

VERSION: Final = "svc-trace-history/1"
"""Stands in each file's metadata under `schema`. It changes if readers must."""


def _column(name: str, kind: Any, meaning: str, *, null: bool = False) -> pa.Field:  # noqa: ANN401 -- pyarrow has no types
    return pa.field(name, kind, nullable=null, metadata={"description": meaning})


def _list(kind: Any) -> pa.DataType:  # noqa: ANN401
    return pa.list_(pa.field("element", kind, nullable=False))


def _schema(*columns: pa.Field) -> pa.Schema:
    return pa.schema(columns, metadata={"schema": VERSION})


_TEXT: Final = pa.string()
_COUNT: Final = pa.int64()
_SECONDS: Final = pa.float64()
_TIME: Final = pa.timestamp("us")
_TEXTS: Final = _list(_TEXT)
_WARNINGS: Final = _list(
    pa.struct([pa.field(name, _TEXT, nullable=False) for name in ("slug", "message", "hint")]),
)
_REFUSED: Final = _list(pa.struct([pa.field("service", _TEXT, nullable=False), pa.field("calls", _COUNT)]))
_COMMON: Final = (
    _column("repository", _TEXT, "`--repository`; empty without it"),
    _column("started_at", _TIME, "when the run began; of a merged report, the earliest of its runs"),
)

RUNS: Final = _schema(
    *_COMMON,
    _column("generated_at", _TIME, "when the report was made"),
    _column("command", _TEXTS, "the traced command; empty if merged runs had different ones"),
    _column("backend", _TEXT, "what recorded the events: `libbpf`, `bcc` or `strace`"),
    _column("kernel", _TEXT, "the kernel's release"),
    _column("duration_s", _SECONDS, "seconds that the run took; of a merged report, the sum"),
    _column("exit_status", _COUNT, "the command's; null if the trace was cut off", null=True),
    _column("complete", pa.bool_(), "no event, record or test is missing"),
    _column("lost_events", _COUNT, "number of events of the kernel that were lost"),
    _column("pytest_reported", pa.bool_(), "a pytest reported; otherwise nothing is known of tests"),
    _column("missing_tests", _COUNT, "number of tests that are not in the report; null if unknown", null=True),
    _column("lacks_causes", _TEXT, "why it is unknown which thread woke which; empty if it is known"),
    _column("last_test_s", _SECONDS, "seconds to the end of the last test; null if unknown", null=True),
    _column(
        "session_s",
        _SECONDS,
        "seconds of the session before the first test and after the last; null if unknown",
        null=True,
    ),
    _column("refused", _REFUSED, "services that were refused to the command; null if none", null=True),
    _column("partial", pa.bool_(), "it left out tests of files that it collected, such as deselected ones"),
    _column("warnings", _WARNINGS, "the run's warnings"),
    _column("total_tests", _COUNT, "number of tests"),
    _column("merged_runs", _COUNT, "number of runs in the report; 1 if it is not merged"),
)
TESTS: Final = _schema(
    *_COMMON,
    _column("nodeid", _TEXT, "pytest's node id"),
    _column("outcome", _TEXT, "of the last attempt"),
    _column("duration_s", _SECONDS, "seconds of all attempts, with set-up and teardown"),
    _column(
        "shared_s", _SECONDS, "the part of `duration_s` in which fixtures and imports that tests share were set up"
    ),
    _column("attempts", _COUNT, "how often it ran"),
    _column("services", _TEXTS, "services that it uses, sorted"),
    _column("ambient", _TEXTS, "services with only ambient evidence, sorted"),
    _column("self_hosted", _TEXTS, "services that the run itself provided, sorted"),
    _column("assumed", _TEXTS, "services that the assumptions claim, sorted"),
)
EVIDENCE: Final = _schema(
    *_COMMON,
    _column("nodeid", _TEXT, "the test; null: outside of tests", null=True),
    _column("service", _TEXT, "the configured name, or `unknown:` and the endpoint or the host's URL"),
    _column("used", pa.bool_(), "a test with this evidence uses the service: direct or inherited, not self-hosted"),
    _column("endpoint", _TEXT, "such as `tcp://127.0.0.1:5432`"),
    _column("host", _TEXT, "the host's name; null if unknown", null=True),
    _column("protocol", _TEXT, "recognised from the first bytes sent; null if they identify none", null=True),
    _column("how", _TEXT, "`direct`, `inherited`, `ambient` or `goodbye`"),
    _column("via", _TEXT, "source of inherited evidence: a fixture or a module; otherwise null", null=True),
    _column("phase", _TEXT, "`collection`, `setup`, `call` or `teardown`; null only outside of tests", null=True),
    _column("fixture", _TEXT, "the innermost fixture that was being set up or torn down, or null", null=True),
    _column("thread", _TEXT, "`test`: the thread that ran the test; `other`: another thread or process"),
    _column("asked", pa.bool_(), "whether the test woke that other thread; null if unknown", null=True),
    _column("command", _TEXT, "the sending process's name"),
    _column("strength", _TEXT, "`sent`; `connected`, but nothing sent; `attempted` only"),
    _column("self_hosted", pa.bool_(), "a process of the run listens at the endpoint"),
    _column("ambiguous", pa.bool_(), "several tests ran at once in one process"),
    _column("connects", _COUNT, "number of attempts to connect"),
    _column("sends", _COUNT, "number of successful sends"),
    _column("bytes", _COUNT, "number of bytes sent"),
    _column("operations", _TEXTS, "operations with which sends began, at most 8, sorted"),
    _column("other_sends", _COUNT, "number of sends that may begin with other operations"),
    _column("errno", _TEXT, "name of the first failure, or null", null=True),
    _column("first_s", _SECONDS, "seconds from the test's start; inherited or outside of tests: the run's", null=True),
    _column(
        "needed_below", _TEXTS, "outside of tests: directories whose tests need it to begin; null if none", null=True
    ),
    _column("listener", _TEXT, "the process that listens at an endpoint that no rule names, or null", null=True),
)
SCHEMAS: Final[Mapping[str, pa.Schema]] = {"runs": RUNS, "tests": TESTS, "evidence": EVIDENCE}
"""Table → its columns. Each table has one more, the partition's: `run`, which the path contains."""
