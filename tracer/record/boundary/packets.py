"""The stream of the hook's messages, decoded to packets.

The stream consists of lines, each written whole. A line is a packet `[pidns, pid, tid, seq, [message, …]]` in JSON and
ASCII. If the line would be longer than PIPE_BUF, the messages are cut into chunks, each in a line
`+pidns,pid,tid,seq,index,total,part`. `seq` counts a process's packets from 0. Any process can write anything to the
FIFO, so nothing here is trusted, and memory is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Final

from msgspec import Raw, Struct

from tracer.record.boundary.messages import NATURAL, Close, Hello, Interrupted, Message, Natural, Open, Phase
from tracer.trace.ids import Pid, PidNamespace, Tid
from tracer.trace.json_codec import load, load_items

LINE_LIMIT: Final = 4096  # PIPE_BUF: the hook writes no line that is longer
CHUNKS_LIMIT: Final = 256  # chunks of one packet
UNFINISHED_LIMIT: Final = 64  # incomplete packets at once; then the oldest is dropped
PROCESSES_LIMIT: Final = 65536  # processes whose packets are counted at once; then the oldest is dropped
GAP_LIMIT: Final = 1 << 20  # packets of one process that can be lost in a row: a larger number is no hook's

_TIMED: Final = (Open, Phase, Close, Interrupted, Hello)


class _Line(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A line with a packet in which all is as it should be."""

    pidns: Annotated[PidNamespace, NATURAL]
    pid: Annotated[Pid, NATURAL]
    tid: Annotated[Tid, NATURAL]
    seq: Natural
    messages: tuple[Message, ...]


_SENDER: Final = tuple[Natural, Natural, Natural, Natural]
"""pidns, pid, tid, seq."""
_CHUNK: Final = tuple[Natural, Natural, Natural, Natural, Natural, Natural]
"""pidns, pid, tid, seq, index, total."""


class Packet(Struct):
    """The messages that one thread wrote at once."""

    pidns: PidNamespace
    pid: Pid
    tid: Tid
    seq: int
    messages: tuple[Message, ...]

    ns: int | None = None  # the latest time in it; None: it contains none

    def __post_init__(self) -> None:
        """Find the latest time, which is asked for several times."""
        for message in self.messages:
            if isinstance(message, _TIMED) and (self.ns is None or message.ns > self.ns):
                self.ns = message.ns


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
            try:
                whole: _Line = load(line, _Line)
            except ValueError:
                return self._readable(line)
            return self._packet(whole.pidns, whole.pid, whole.tid, whole.seq, whole.messages)
        except ValueError:
            self.malformed += 1
            return None

    def _readable(self, line: bytes) -> Packet:
        """The packet of a line with messages that the hook cannot have written: the others."""
        *words, contents = load_items(line)
        pidns, pid, tid, seq = load(b"[%s]" % b",".join(words), _SENDER)
        return self._packet(pidns, pid, tid, seq, self._messages(contents))

    def _messages(self, contents: Raw | bytes) -> tuple[Message, ...]:
        messages: list[Message] = []
        for content in load_items(contents):
            try:
                messages.append(load(content, Message))
            except ValueError:
                self.malformed += 1
        return tuple(messages)

    def _chunk(self, line: bytes) -> Packet | None:
        *words, part = line.split(b",", 6)
        pidns, pid, tid, seq, index, total = load(b"[%s]" % b",".join(words), _CHUNK)
        if not index < total <= CHUNKS_LIMIT:
            raise ValueError("no chunk of a packet")
        self._count(pidns, pid).reach(seq)
        thread = pidns, pid, tid
        chunks = self._unfinished.pop(thread, None)
        if index == 0:
            chunks = _Chunks(seq, total, [])
        if chunks is None or (chunks.seq, chunks.total, len(chunks.parts)) != (seq, total, index):
            return None  # a chunk before it is missing
        chunks.parts.append(part)
        if index + 1 == total:
            return self._packet(pidns, pid, tid, seq, self._messages(b"[%s]" % b"".join(chunks.parts)))
        self._unfinished[thread] = chunks
        if len(self._unfinished) > UNFINISHED_LIMIT:
            self._unfinished.popitem(last=False)
        return None

    def _packet(self, pidns: PidNamespace, pid: Pid, tid: Tid, seq: int, messages: tuple[Message, ...]) -> Packet:
        if seq == 0 and messages and isinstance(messages[0], Hello):
            self._forget(pidns, pid)  # a new process, whose pid another process had before
        count = self._count(pidns, pid)
        count.reach(seq)
        count.received += 1
        return Packet(pidns, pid, tid, seq, messages)

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


class _Count(Struct):
    """The packets of one process."""

    received: int = 0
    highest: int = -1

    def reach(self, seq: int) -> None:
        """Take note of a packet's number.

        Raises:
            ValueError: no hook has written it.
        """
        if seq > self.highest + GAP_LIMIT:
            raise ValueError("too many packets are missing before this one")
        self.highest = max(self.highest, seq)

    @property
    def lost(self) -> int:
        return max(0, self.highest + 1 - self.received)


class _Chunks(Struct):
    """The chunks of an incomplete packet."""

    seq: int
    total: int
    parts: list[bytes]
