"""The hook's messages, decoded. `svc_trace_hook/__init__.py` says what each of them means.

The stream consists of lines, each written whole. A line is a packet `[pidns, pid, tid, seq, [message, …]]` in JSON and
ASCII. If the line would be longer than PIPE_BUF, the messages are cut into chunks, each in a line
`+pidns,pid,tid,seq,index,total,part`. `seq` counts a process's packets from 0. Any process can write anything to the
FIFO, so nothing here is trusted, and memory is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from tracer.trace.ids import HookNumber, Pid, PidNamespace, Tid
from tracer.trace.json_codec import load, row_converter
from tracer.trace.records import PHASES, Instance, PhaseName, StaticFacts

Opened = Literal["session", "collection", "test", "fixture"]
Outcome = Literal["failed", "skipped", "xfailed", "xpassed"]

LINE_LIMIT: Final = 4096  # PIPE_BUF: the hook writes no line that is longer
CHUNKS_LIMIT: Final = 256  # chunks of one packet
UNFINISHED_LIMIT: Final = 64  # incomplete packets at once; then the oldest is dropped
PROCESSES_LIMIT: Final = 65536  # processes whose packets are counted at once; then the oldest is dropped
NUMBER_LIMIT: Final = 1 << 63

KINDS: Final = get_args(Opened)
OUTCOMES: Final = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a process, including a forked child."""

    ns: int
    python: str
    pytest: str
    worker: str | None  # xdist's name for it, such as `gw0`


@dataclass(frozen=True, slots=True)
class Open:
    """A span opens on the packet's thread. With a test, its setup opens too."""

    span: HookNumber
    ns: int
    kind: Opened
    subject: str | HookNumber
    """session: rootdir; collection: the module's node id; test: its node id; fixture: the instance's number"""
    facts: HookNumber | None  # only of a test


@dataclass(frozen=True, slots=True)
class Close:
    """A span closes. Ignore it if the process did not open the span: a forked child may close its parent's spans."""

    span: HookNumber
    ns: int


@dataclass(frozen=True, slots=True)
class Phase:
    """The next phase of the test that is open on the packet's thread."""

    ns: int
    phase: PhaseName


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A test closes in the middle of a phase, because its session ends."""

    test: HookNumber
    ns: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Static facts. They come before the first test of the process that refers to them."""

    number: HookNumber
    facts: StaticFacts


@dataclass(frozen=True, slots=True)
class FixtureInstance:
    """A fixture instance. It comes before its set-up opens."""

    number: HookNumber
    instance: Instance  # id and process are 0: the recorder sets them


@dataclass(frozen=True, slots=True)
class Uses:
    """Instances wider than function scope that a test requests. Several messages for one test add up.

    An instance may be one that an ancestor of a forked child reported: the child continues with its parent's numbers.
    """

    test: HookNumber
    instances: tuple[HookNumber, ...]


@dataclass(frozen=True, slots=True)
class Requires:
    """Instances wider than function scope that an instance requests."""

    instance: HookNumber
    instances: tuple[HookNumber, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A phase did not pass. It may come after the test closed. Of several, a failure counts, otherwise the last one."""

    test: HookNumber
    phase: PhaseName
    outcome: Outcome


Message = Hello | Open | Phase | Close | Interrupted | Facts | FixtureInstance | Uses | Requires | Report


@dataclass(frozen=True, slots=True)
class Packet:
    """The messages that one thread wrote at once."""

    pidns: PidNamespace
    pid: Pid
    tid: Tid
    seq: int
    messages: tuple[Message, ...]

    @property
    def ns(self) -> int | None:
        """The latest time in it; None: it contains none."""
        timed = (Open, Phase, Close, Interrupted, Hello)
        return max((message.ns for message in self.messages if isinstance(message, timed)), default=None)


class Decoder:
    """Decodes bytes to packets, in the order in which their last bytes were written. Never raises.

    Attributes:
        malformed: lines and messages that the hook cannot have written.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._rest = b""  # the last line, whose end has not arrived
        self._skipping = False  # the last line was too long
        self._unfinished: OrderedDict[tuple[PidNamespace, Pid, Tid], _Chunks] = OrderedDict()
        self._counts: OrderedDict[tuple[PidNamespace, Pid], _Count] = OrderedDict()
        self._lost = 0  # packets of processes that are no longer counted

    @property
    def lost(self) -> int:
        """Packets that did not arrive: so far, those before a later packet of the same process."""
        return self._lost + sum(count.lost for count in self._counts.values())

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that `data` completes; it may end anywhere."""
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
            return self._packet(*_sender(head), messages)
        except (ValueError, TypeError, RecursionError):
            self.malformed += 1
            return None

    def _chunk(self, line: bytes) -> Packet | None:
        *words, part = line.split(b",", 6)
        *sender, index, total = map(int, words)
        pidns, pid, tid, seq = _sender(sender)
        if not 0 <= index < total <= CHUNKS_LIMIT:
            raise ValueError("no chunk of a packet")
        self._count(pidns, pid).highest = max(self._count(pidns, pid).highest, seq)
        thread = pidns, pid, tid
        chunks = self._unfinished.pop(thread, None)
        if index == 0:
            chunks = _Chunks(seq, total, [])
        if chunks is None or (chunks.seq, chunks.total, len(chunks.parts)) != (seq, total, index):
            return None  # a chunk before it is missing
        chunks.parts.append(part)
        if index + 1 == total:
            return self._packet(pidns, pid, tid, seq, load(b"[%s]" % b"".join(chunks.parts)))
        self._unfinished[thread] = chunks
        if len(self._unfinished) > UNFINISHED_LIMIT:
            self._unfinished.popitem(last=False)
        return None

    def _packet(self, pidns: PidNamespace, pid: Pid, tid: Tid, seq: int, contents: object) -> Packet:
        if type(contents) is not list:
            raise TypeError("no messages")
        messages: list[Message] = []
        for content in contents:
            try:
                messages.append(_message(content))
            except (ValueError, TypeError, KeyError):
                self.malformed += 1
        if seq == 0 and messages and isinstance(messages[0], Hello):
            self._forget(pidns, pid)  # a new process, whose pid another process had before
        count = self._count(pidns, pid)
        count.received += 1
        count.highest = max(count.highest, seq)
        return Packet(pidns, pid, tid, seq, tuple(messages))

    def _count(self, pidns: PidNamespace, pid: Pid) -> _Count:
        count = self._counts.get((pidns, pid))
        if count is None:
            if len(self._counts) == PROCESSES_LIMIT:
                self._forget(*next(iter(self._counts)))
            count = self._counts[pidns, pid] = _Count()
        return count

    def _forget(self, pidns: PidNamespace, pid: Pid) -> None:
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
    """The chunks of an incomplete packet."""

    seq: int
    total: int
    parts: list[bytes]


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < NUMBER_LIMIT:
        raise TypeError("no number")
    return value


def _sender(head: Iterable[object]) -> tuple[PidNamespace, Pid, Tid, int]:
    pidns, pid, tid, seq = map(_number, head)
    return PidNamespace(pidns), Pid(pid), Tid(tid), seq


def _own(value: object) -> HookNumber:
    return HookNumber(_number(value))


def _owns(values: object) -> tuple[HookNumber, ...]:
    if type(values) is not list:
        raise TypeError("no numbers")
    return tuple(map(_own, values))


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
    if kind == "test":
        if type(subject) is not list or len(subject) != 2:
            raise TypeError("no test")
        nodeid, facts = subject
        return Open(_own(span), _number(ns), "test", _text(nodeid), _own(facts))
    decoded = _own(subject) if kind == "fixture" else _text(subject)
    return Open(_own(span), _number(ns), _one_of(kind, KINDS), decoded, None)


_static_facts: Final = row_converter(StaticFacts, optional=False)
_instance: Final = row_converter(Instance, optional=False)
_MESSAGES: Final[dict[str, Callable[..., Message]]] = {
    "hello": lambda ns, python, pytest, worker: Hello(_number(ns), _text(python), _text(pytest), _text_or_none(worker)),
    "open": _open,
    "phase": lambda ns, phase: Phase(_number(ns), _one_of(phase, PHASES)),
    "close": lambda span, ns: Close(_own(span), _number(ns)),
    "interrupted": lambda test, ns: Interrupted(_own(test), _number(ns)),
    "facts": lambda number, *values: Facts(_own(number), _static_facts(values)),
    "instance": lambda number, *values: FixtureInstance(_own(number), _instance([0, 0, *values, []])),
    "uses": lambda test, instances: Uses(_own(test), _owns(instances)),
    "requires": lambda instance, instances: Requires(_own(instance), _owns(instances)),
    "report": lambda test, phase, outcome: Report(_own(test), _one_of(phase, PHASES), _one_of(outcome, OUTCOMES)),
}


def _message(content: object) -> Message:
    if type(content) is not list or not content:
        raise TypeError("no message")
    return _MESSAGES[_text(content[0])](*content[1:])
