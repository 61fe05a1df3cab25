"""The hook's messages. `svc_trace_hook/__init__.py` says what each of them means; `packets.py` decodes them."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from tracer.trace.ids import HookNumber
from tracer.trace.records import PhaseName, StaticFacts

Opened = Literal["session", "conftest", "collection", "test", "fixture"]
Outcome = Literal["failed", "skipped", "xfailed", "xpassed", "not run"]

OUTCOMES: Final = get_args(Outcome)

NATURAL: Final = Meta(ge=0, le=(1 << 63) - 1)  # fits into 64 bits, signed
_Number = Annotated[HookNumber, NATURAL]
Natural = Annotated[int, NATURAL]
_Tests = Annotated[int, Meta(ge=0, le=10**9)]  # a number of tests
_Version = Annotated[str, Meta(max_length=40)]


class _Message(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag_field="tag", tag=str.lower):
    """A message is a JSON array: its class's name in lower case, then the values of its fields."""


class Hello(_Message, frozen=True):
    """The first message of a process, including a forked child."""

    ns: Natural
    python: str
    pytest: str
    worker: str | None  # xdist's name for it, such as `gw0`
    testrun: str | None = None  # of a worker: xdist's name for the session to which it belongs


class Worker(_Message, frozen=True):
    """xdist's names for a process and its session, if they were not known at its `Hello`."""

    worker: str
    testrun: str | None


class Open(_Message, frozen=True):
    """A span opens on the packet's thread. With a test, its setup opens too."""

    span: _Number
    ns: Natural
    kind: Opened
    subject: str | _Number
    """session: rootdir; conftest: `.`; collection: the module's node id; test: its node id; fixture: its instance"""
    facts: _Number | None = None  # only of a test

    def __post_init__(self) -> None:
        """Check that subject and facts are those of the kind."""
        if isinstance(self.subject, int) != (self.kind == "fixture") or (self.facts is None) == (self.kind == "test"):
            raise ValueError(f"not a {self.kind}")


class Below(_Message, frozen=True):
    """The directory, relative to the rootdir, whose tests need what the import of a conftest did. Before its close."""

    span: _Number
    directory: str


class Close(_Message, frozen=True):
    """A span closes. Ignore it if the process did not open the span: a forked child may close its parent's spans."""

    span: _Number
    ns: Natural


class Phase(_Message, frozen=True):
    """The next phase of the test that is open on the packet's thread."""

    ns: Natural
    phase: PhaseName


class Interrupted(_Message, frozen=True):
    """A test closes in the middle of a phase, because its session ends."""

    test: _Number
    ns: Natural


class Facts(_Message, frozen=True):
    """Static facts. They come before the first test of the process that refers to them."""

    number: _Number
    facts: StaticFacts


class FixtureInstance(_Message, frozen=True, tag="instance"):
    """A fixture instance. It comes before its set-up opens. The fields are those of `Instance`."""

    number: _Number
    name: str
    scope: str
    baseid: str
    node: str
    param: str | None


class Uses(_Message, frozen=True):
    """Instances wider than function scope that a test requests. Several messages for one test add up.

    An instance may be one that an ancestor of a forked child reported: the child continues with its parent's numbers.
    """

    test: _Number
    instances: tuple[_Number, ...]


class Requires(_Message, frozen=True):
    """Instances wider than function scope that an instance requests."""

    instance: _Number
    instances: tuple[_Number, ...]


class Plan(_Message, frozen=True):
    """How many tests a session is about to run."""

    session: _Number
    tests: _Tests


class Partial(_Message, frozen=True):
    """A session left out tests of files that it collected: they were deselected, not named, or it stopped early."""

    session: _Number


class Results(_Message, frozen=True):
    """For how many tests results arrived from a worker of xdist, which may run elsewhere. The controller reports it."""

    testrun: str
    worker: str
    tests: _Tests


class Report(_Message, frozen=True):
    """A phase did not pass. It may come after the test closed. Of several, a failure counts, otherwise the last one."""

    test: _Number
    phase: PhaseName
    outcome: Outcome


class Inactive(_Message, frozen=True):
    """The only message of a pytest that the hook does not support, by its version or by that of its Python."""

    python: _Version
    pytest: _Version


Message = (
    Hello
    | Worker
    | Open
    | Below
    | Phase
    | Close
    | Interrupted
    | Uses
    | Requires
    | Plan
    | Partial
    | Results
    | Report
    | Facts
    | FixtureInstance
    | Inactive
)
