"""The verdicts as JSON: the file that `svc-trace verify` writes, and the same in a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from msgspec.structs import asdict, replace

from tracer.classify.model import VERIFY_SCHEMA, TestVerdict, Verdict, Verification
from tracer.errors import SvcTraceError
from tracer.reports.json_document import line, listed, load_document
from tracer.trace.input_file import open_input
from tracer.trace.json_codec import dump

_HEAD: Final = ("schema", "generated_at", "command", "without", "complete", "runs_with", "runs_without")


def render(verification: Verification) -> Iterator[bytes]:
    """The file as UTF-8 text, in parts; each test is a line. `summary` and `surprises` follow from the tests."""
    yield dump(_head(verification), indent=True).removesuffix(b"\n}\n")
    yield b',\n  "tests": {'
    yield from listed(_tests(verification))
    yield b"\n  },\n"
    counts = Counter(test.verdict for test in verification.tests.values())
    tail = {
        "summary": {verdict: counts[verdict] for verdict in get_args(Verdict)},
        "surprises": [nodeid for nodeid, test in verification.tests.items() if test.is_surprise],
    }
    yield dump(tail, indent=True).removeprefix(b"{\n")


def render_within(verification: Verification) -> bytes:
    """The same as a member of a report: its head on a line, then each test."""
    return b'%b,"tests":{%b}}' % (line(_head(verification)).removesuffix(b"}"), b"".join(listed(_tests(verification))))


def read_verification(path: Path) -> Verification:
    """Read a file that `render` wrote, plain or gzip.

    Raises:
        SvcTraceError: it cannot be read, or has no verdicts that this version reads; names the place.
    """
    try:
        with open_input(path) as file:
            return checked(load_document(file, VERIFY_SCHEMA, Verification))
    except (ValueError, EOFError) as error:
        raise SvcTraceError(
            f"cannot read {path} as verdicts: {error}",
            hint="Name a file that `svc-trace verify` wrote, or make it again.",
            slug="bad-verdicts",
        ) from error


def checked(verification: Verification) -> Verification:
    """A verification that was read; its services and tests are sorted, each once.

    Raises:
        ValueError: its schema is another one, or a verdict has a reason that it cannot have.
    """
    if verification.schema != VERIFY_SCHEMA:
        raise ValueError(f"the verdicts' schema is {verification.schema!r:.40}, not {VERIFY_SCHEMA!r}")
    for nodeid, test in verification.tests.items():
        if test.reason is not None and test.verdict != "undecided":
            raise ValueError(f"tests: {nodeid!r:.200}: the verdict {test.verdict} has no reason")
    return replace(
        verification,
        without=tuple(sorted({*verification.without})),
        tests={nodeid: verification.tests[nodeid] for nodeid in sorted(verification.tests)},
    )


def _head(verification: Verification) -> dict[str, Any]:
    return {name: getattr(verification, name) for name in _HEAD}


def _tests(verification: Verification) -> Iterator[bytes]:
    return (b"%b: %b" % (line(nodeid), line(_fields(test))) for nodeid, test in verification.tests.items())


def _fields(test: TestVerdict) -> dict[str, Any]:
    """The fields of a test; `reason` only of an undecided one."""
    fields = asdict(test)
    if test.reason is None:
        del fields["reason"]
    return fields
