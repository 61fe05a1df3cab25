"""The hook's messages, decoded. `svc_trace_hook/__init__.py` says what each of them means.

The stream is made of lines, each written whole: a packet `[pidns, pid, tid, seq, [message, …]]` in JSON and ASCII, or,
if that would exceed PIPE_BUF, its messages cut into chunks `+pidns,pid,tid,seq,index,total,part`. `seq` counts a
process's packets from 0. Whoever can write to the FIFO can write anything: nothing here is trusted, and memory is
bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from tracer.trace.json_codec import load, row_converter
from tracer.trace.records import PHASES, Instance, PhaseName, StaticFacts

Opened = Literal["session", "collection", "test", "fixture"]
Outcome = Literal["failed", "skipped", "xfailed", "xpassed"]

LINE_LIMIT: Final = 4096  # PIPE_BUF: the hook writes no longer line
CHUNKS_LIMIT: Final = 256  # chunks of one packet
UNFINISHED_LIMIT: Final = 64  # packets in reassembly at once; the oldest gives way
PROCESSES_LIMIT: Final = 65536  # whose packets are counted at once; the oldest gives way
NUMBER_LIMIT: Final = 1 << 63

KINDS: Final = get_args(Opened)
OUTCOMES: Final = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a process. A forked child tells it too."""

    ns: int
    python: str
    pytest: str
    worker: str | None  # xdist's name of it, `gw0`


@dataclass(frozen=True, slots=True)
class Open:
    """A span opens on the packet's thread, and with a test its setup."""

    span: int
    ns: int
    kind: Opened
    subject: str | int  # session: rootdir; collection: the module's node id; test: its node id; fixture: instance
    facts: int | None  # only of a test


@dataclass(frozen=True, slots=True)
class Close:
    """A span closes. A forked child may close its parent's spans, which it did not open: ignore those."""

    span: int
    ns: int


@dataclass(frozen=True, slots=True)
class Phase:
    """The next phase of the test that is open on the packet's thread."""

    ns: int
    phase: PhaseName


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The end of its session closes a test in the middle of a phase."""

    test: int
    ns: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Static facts. They come before the first test of the process that refers to them."""

    number: int
    facts: StaticFacts


@dataclass(frozen=True, slots=True)
class FixtureInstance:
    """A fixture instance. It comes before its set-up opens."""

    number: int
    instance: Instance  # id and process are 0: the recorder sets them


@dataclass(frozen=True, slots=True)
class Uses:
    """Instances wider than function scope that a test requests; a later message adds to it.

    A forked child's may name an instance that an ancestor told: the child goes on with its parent's counter.
    """

    test: int
    instances: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Requires:
    """Instances wider than function scope that an instance requests."""

    instance: int
    instances: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A phase did not pass. Of several reports a failure counts, else the last; they may come after the test closed."""

    test: int
    phase: PhaseName
    outcome: Outcome


Message = Hello | Open | Phase | Close | Interrupted | Facts | FixtureInstance | Uses | Requires | Report


@dataclass(frozen=True, slots=True)
class Packet:
    """What one thread wrote at once."""

    pidns: int  # inode number of the pid namespace; 0 where unknown
    pid: int  # in that namespace, as tid
    tid: int
    seq: int
    messages: tuple[Message, ...]

    @property
    def ns(self) -> int | None:
        """When it was told, by the latest time in it; None if it tells none."""
        timed = (Open, Phase, Close, Interrupted, Hello)
        return max((message.ns for message in self.messages if isinstance(message, timed)), default=None)


class Decoder:
    """Bytes in, packets out, in the order in which their last byte was written. No input makes it raise.

    Attributes:
        malformed: lines and messages that no hook has written.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._rest = b""  # of the last line, whose end has not come
        self._skipping = False  # it was too long
        self._unfinished: OrderedDict[tuple[int, int, int], _Chunks] = OrderedDict()
        self._counts: OrderedDict[tuple[int, int], _Count] = OrderedDict()
        self._lost = 0  # of processes that are counted no longer

    @property
    def lost(self) -> int:
        """Packets that never arrived, so far: those that a later one of their process proves."""
        return self._lost + sum(count.lost for count in self._counts.values())

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that this completes; `data` may end anywhere."""
        *lines, rest = (self._rest + data).split(b"\n")
        if lines and self._skipping:
            del lines[0]
            self._skipping = False
        packets = [packet for line in lines if (packet := self._decode(line))]
        if len(rest) >= LINE_LIMIT and not self._skipping:
            self.malformed += 1
            self._skipping = True
        self._rest = b"" if self._skipping else rest
        return packets

    def _decode(self, line: bytes) -> Packet | None:
        try:
            if len(line) >= LINE_LIMIT:
                raise ValueError("too long")
            if line.startswith(b"+"):
                return self._chunk(line[1:])
            *head, messages = load(line)
            pidns, pid, tid, seq = _numbers(head, 4)
            return self._packet(pidns, pid, tid, seq, messages)
        except (ValueError, TypeError, RecursionError):
            self.malformed += 1
            return None

    def _chunk(self, line: bytes) -> Packet | None:
        *words, part = line.split(b",", 6)
        pidns, pid, tid, seq, index, total = _numbers([int(word) for word in words], 6)
        if index >= total or total > CHUNKS_LIMIT:
            raise ValueError("no chunk of a packet")
        self._count(pidns, pid).highest = max(self._count(pidns, pid).highest, seq)
        thread = pidns, pid, tid
        chunks = self._unfinished.pop(thread, None)
        if index == 0:
            chunks = _Chunks(seq, total, [])
        if chunks is None or (chunks.seq, chunks.total, len(chunks.parts)) != (seq, total, index):
            return None  # one before it is missing, and so is the packet
        chunks.parts.append(part)
        if index + 1 == total:
            return self._packet(pidns, pid, tid, seq, load(b"[%s]" % b"".join(chunks.parts)))
        self._unfinished[thread] = chunks
        if len(self._unfinished) > UNFINISHED_LIMIT:
            self._unfinished.popitem(last=False)
        return None

    def _packet(self, pidns: int, pid: int, tid: int, seq: int, contents: object) -> Packet:
        if type(contents) is not list:
            raise TypeError("no messages")
        messages: list[Message] = []
        for content in contents:
            try:
                messages.append(_message(content))
            except (ValueError, TypeError, KeyError):
                self.malformed += 1
        if seq == 0 and messages and isinstance(messages[0], Hello):
            self._forget(pidns, pid)  # a new process with a pid that was another's
        count = self._count(pidns, pid)
        count.received += 1
        count.highest = max(count.highest, seq)
        return Packet(pidns, pid, tid, seq, tuple(messages))

    def _count(self, pidns: int, pid: int) -> _Count:
        count = self._counts.get((pidns, pid))
        if count is None:
            if len(self._counts) == PROCESSES_LIMIT:
                self._forget(*next(iter(self._counts)))
            count = self._counts[pidns, pid] = _Count()
        return count

    def _forget(self, pidns: int, pid: int) -> None:
        count = self._counts.pop((pidns, pid), None)
        if count is not None:
            self._lost += count.lost


@dataclass(slots=True)
class _Count:
    """The packets of one process."""

    received: int = 0
    highest: int = -1

    @property
    def lost(self) -> int:
        return max(0, self.highest + 1 - self.received)


@dataclass(slots=True)
class _Chunks:
    """A packet in reassembly."""

    seq: int
    total: int
    parts: list[bytes]


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < NUMBER_LIMIT:
        raise TypeError("no number")
    return value


def _numbers(values: object, length: int | None = None) -> tuple[int, ...]:
    if type(values) is not list or (length is not None and len(values) != length):
        raise TypeError("no numbers")
    return tuple(map(_number, values))


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError("no text")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _one_of(value: object, choices: tuple[Any, ...]) -> Any:  # noqa: ANN401 - the choice's own literal type
    if value not in choices:
        raise ValueError("no choice")
    return value


def _open(span: object, ns: object, kind: object, subject: object) -> Open:
    facts = None
    told: str | int
    if kind == "test":
        if type(subject) is not list or len(subject) != 2:
            raise TypeError("no test")
        told, facts = _text(subject[0]), _number(subject[1])
    elif kind == "fixture":
        told = _number(subject)
    else:
        told = _text(subject)
    return Open(_number(span), _number(ns), _one_of(kind, KINDS), told, facts)


_static_facts: Final = row_converter(StaticFacts, optional=False)
_instance: Final = row_converter(Instance, optional=False)
_MESSAGES: Final[dict[str, Callable[..., Message]]] = {
    "hello": lambda ns, python, pytest, worker: Hello(_number(ns), _text(python), _text(pytest), _text_or_none(worker)),
    "open": _open,
    "phase": lambda ns, phase: Phase(_number(ns), _one_of(phase, PHASES)),
    "close": lambda span, ns: Close(_number(span), _number(ns)),
    "interrupted": lambda test, ns: Interrupted(_number(test), _number(ns)),
    "facts": lambda number, *values: Facts(_number(number), _static_facts(values)),
    "instance": lambda number, *values: FixtureInstance(_number(number), _instance([0, 0, *values, []])),
    "uses": lambda test, instances: Uses(_number(test), _numbers(instances)),
    "requires": lambda instance, instances: Requires(_number(instance), _numbers(instances)),
    "report": lambda test, phase, outcome: Report(_number(test), _one_of(phase, PHASES), _one_of(outcome, OUTCOMES)),
}


def _message(content: object) -> Message:
    if type(content) is not list or not content:
        raise TypeError("no message")
    return _MESSAGES[_text(content[0])](*content[1:])
