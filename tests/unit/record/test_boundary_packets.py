"""The messages: what the hook encodes is what the recorder decodes, and nothing else gets through."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from plain import plain

from tracer.record.boundary.messages import (
    OUTCOMES,
    Below,
    Close,
    Facts,
    FixtureInstance,
    Hello,
    Inactive,
    Interrupted,
    Message,
    Open,
    Partial,
    Phase,
    Plan,
    Report,
    Requires,
    Results,
    Uses,
    Worker,
)
from tracer.record.boundary.packets import CHUNKS_LIMIT, GAP_LIMIT, LINE_LIMIT, UNFINISHED_LIMIT, Decoder, Packet
from tracer.record.boundary.svc_trace_hook import attempts, channel, fixtures, plugin
from tracer.trace.records import PHASES, StaticFacts

SENDER: Final = "4026531836,17,18"
HELLO: Final = '["hello",1,"3.13.0","9.2.0",null]'

numbers = st.integers(min_value=0, max_value=(1 << 63) - 1)
texts = st.text(st.characters(exclude_categories=[]))  # lone surrogates too
versions = st.text(st.characters(exclude_categories=[]), max_size=40)
amounts = st.integers(0, 10**9)
lists = st.lists(texts, max_size=5)
ids = st.lists(numbers, max_size=5)
first_seqs = st.integers(min_value=0, max_value=GAP_LIMIT - 1)  # of a process


def cases() -> st.SearchStrategy[tuple[Any, Message]]:
    """A message as the hook lays it out, and as the recorder shall see it."""
    opens: st.SearchStrategy[tuple[Any, ...]] = st.one_of(
        st.tuples(st.sampled_from(["session", "conftest", "collection"]), texts).map(lambda t: (t, (*t, None))),
        st.tuples(texts, numbers).map(lambda t: (("test", *t), ("test", *t))),
        numbers.map(lambda instance: (("fixture", instance), ("fixture", instance, None))),
    )
    return st.one_of(
        st.tuples(numbers, texts, texts, st.none() | texts, st.none() | texts).map(
            lambda t: (["hello", *t], Hello(*t)),
        ),
        st.tuples(numbers, amounts).map(lambda t: (["plan", *t], plain(Plan)(*t))),
        st.tuples(numbers, texts).map(lambda t: (["below", *t], plain(Below)(*t))),
        st.tuples(texts, st.none() | texts).map(lambda t: (["worker", *t], Worker(*t))),
        numbers.map(lambda number: (["partial", number], plain(Partial)(number))),
        st.tuples(texts, texts, amounts).map(lambda t: (["results", *t], Results(*t))),
        st.tuples(versions, versions).map(lambda t: (["inactive", *t], Inactive(*t))),
        st.tuples(numbers, numbers, opens).map(
            lambda t: (["open", *t[:2], *t[2][0]], plain(Open)(*t[:2], *t[2][1])),
        ),
        st.tuples(numbers, numbers).map(lambda t: (["close", *t], plain(Close)(*t))),
        st.tuples(numbers, st.sampled_from(PHASES)).map(lambda t: (["phase", *t], Phase(*t))),
        st.tuples(numbers, numbers).map(lambda t: (["interrupted", *t], plain(Interrupted)(*t))),
        st.tuples(numbers, texts, lists, lists, lists, lists, texts).map(
            lambda t: (
                ["facts", t[0], dict(zip(channel.FACTS, t[1:], strict=True))],
                plain(Facts)(t[0], StaticFacts(t[1], tuple(t[2]), tuple(t[3]), tuple(t[4]), tuple(t[5]), t[6])),
            ),
        ),
        st.tuples(numbers, texts, texts, texts, texts, st.none() | texts).map(
            lambda t: (["instance", *t], plain(FixtureInstance)(*t)),
        ),
        st.tuples(numbers, ids).map(lambda t: (["uses", *t], plain(Uses)(t[0], tuple(t[1])))),
        st.tuples(numbers, ids).map(lambda t: (["requires", *t], plain(Requires)(t[0], tuple(t[1])))),
        st.tuples(numbers, st.sampled_from(PHASES), st.sampled_from(OUTCOMES)).map(
            lambda t: (["report", *t], plain(Report)(*t))
        ),
    )


def encoded(seq: int, *contents: Any, sender: str = SENDER) -> list[bytes]:  # noqa: ANN401 - JSON
    """The lines of a packet."""
    messages = ",".join(content if type(content) is str else channel.dumps(content) for content in contents)
    line = f"[{sender},{seq},[{messages}]]\n".encode("ascii")
    return [line] if len(line) <= LINE_LIMIT else channel.chunks_of(sender, seq, messages)


def decoded(data: bytes) -> tuple[list[Packet], Decoder]:
    decoder = Decoder()
    return decoder.feed(data), decoder


@given(st.lists(cases(), min_size=1, max_size=6), first_seqs)
def test_what_the_hook_encodes_is_decoded(told: list[tuple[Any, Message]], seq: int) -> None:
    packets, decoder = decoded(b"".join(encoded(seq, *[content for content, _ in told])))
    assert packets == [plain(Packet)(4026531836, 17, 18, seq, tuple(message for _, message in told))]
    assert decoder.malformed == 0


@given(texts, numbers, numbers, numbers)
@example('t.py::test[\n"\\\x00\U0001f600\ud800]', 1, 2, 3)
@example("t.py::test[" + "\U0001f600" * 10_000 + "]", 1, 2, 3)
def test_any_node_id_passes(nodeid: str, span: int, facts: int, ns: int) -> None:
    lines = encoded(0, f'["open",{span},{ns},"test",{channel.quote(nodeid)},{facts}]')
    assert all(len(line) <= LINE_LIMIT and line.endswith(b"\n") for line in lines)
    packets, decoder = decoded(b"".join(lines))
    assert [packet.messages for packet in packets] == [(plain(Open)(span, ns, "test", nodeid, facts),)]
    assert decoder.malformed == 0


def test_the_formats_made_by_hand() -> None:
    told = [
        fixtures.OPEN_FIXTURE % (7, 8, 9),
        channel.CLOSE % (10, 11),
        attempts.INTERRUPTED % (12, 13),
        attempts.REPORT % (14, "call", "xpassed"),
        plugin.PLAN % (15, 16),
    ]
    packets, _ = decoded(b"".join(encoded(0, *told)))
    assert packets[0].messages == (
        plain(Open)(7, 8, "fixture", 9, None),
        plain(Close)(10, 11),
        plain(Interrupted)(12, 13),
        plain(Report)(14, "call", "xpassed"),
        plain(Plan)(15, 16),
    )


@given(st.lists(cases(), min_size=1, max_size=4), st.lists(st.integers(0, 20_000), max_size=8))
@example(
    [(["close", 1, 2], plain(Close)(1, 2)), (["uses", 1, [3] * 4000], plain(Uses)(1, (3,) * 4000))], [4095, 4096, 4097]
)
def test_any_cut_of_the_stream_gives_the_same(told: list[tuple[Any, Message]], cuts: list[int]) -> None:
    data = b"".join(line for seq, (content, _) in enumerate(told) for line in encoded(seq, content))
    decoder = Decoder()
    edges = [0, *sorted(cuts), len(data)]
    packets = [packet for start, end in pairwise(edges) for packet in decoder.feed(data[start:end])]
    assert [packet.messages for packet in packets] == [(message,) for _, message in told]
    assert (decoder.malformed, decoder.lost) == (0, 0)


@given(
    st.lists(st.binary(max_size=300) | st.sampled_from([b"\n", b"+1,1,1,0,0,2,", b"[1,1,1,0,[", b"[" * 5000, b"]\n"]))
)
@example([b'[1,2,3,4,[["close",1,2],["close",true,2],["close"],[],7,[[]]]]\n'])
@example(
    [
        b"[1,2,3,NaN,[]]\n",
        b"[1,2,3,1e999,[]]\n",
        b"[1,2,3,-1,[]]\n",
        b"[]\n",
        b"{}\n",
        b"+\n",
        b"+a,b,c,d,e,f,g\n",
        b"\xff\n",
    ]
)
@example(
    [
        b'[1,2,3,4,[["close",1,1e999]]]\n',
        b'[1,2,3,4,[["open",1,2,"test",[3]],["open",1,2,["test"],3]]]\n',
    ]
)
def test_no_bytes_make_it_raise(parts: list[bytes]) -> None:
    decoder = Decoder()
    for part in parts:
        decoder.feed(part)
    packets = decoder.feed(b"\n" + b"".join(encoded(0, HELLO)))
    assert [packet.seq for packet in packets][-1] == 0  # and what comes after is read


@pytest.mark.parametrize(
    "message",
    [
        '["close",1]',
        '["close",-1,2]',
        '["close",true,2]',
        '["close",1.0,2]',
        '["hello",1,"3","9",7]',
        '["open",1,2,"test","t.py::a"]',
        '["open",1,2,"test",["t.py::a",3]]',
        '["open",1,2,"test","t.py::a",null]',
        '["open",1,2,"session","x",3]',
        '["open",1,2,"fixture","x"]',
        '["open",1,2,"call","x"]',
        '["open",1,2,"session",null]',
        '["phase",1,"collection"]',
        '["phase",1]',
        '["interrupted",1]',
        '["open",1,2,"nap",null]',
        '["report",1,"call","rerun"]',
        '["report",1,"call","passed"]',
        '["report",1,"collect","failed"]',
        '["report",1,"call","failed",0.1]',
        '["facts",1,{"path":"p","fixtures":["f",1],"markers":[],"bases":[],"autouse":[]}]',
        '["facts",1,{"path":"p"}]',
        '["facts",1,"p",["f"],[],[],[]]',
        '["uses",1,2]',
        '["unheard",1]',
        '[["close"],1,2]',
        "[]",
        "7",
    ],
)
def test_a_malformed_message_is_counted_and_its_neighbours_are_kept(message: str) -> None:
    packets, decoder = decoded(b"".join(encoded(0, HELLO, message, '["close",1,2]')))
    assert packets[0].messages[1:] == (plain(Close)(1, 2),)
    assert decoder.malformed == 1


def test_a_line_without_end_takes_no_memory() -> None:
    decoder = Decoder()
    for _ in range(1000):
        assert decoder.feed(b"[" * LINE_LIMIT) == []
    assert len(decoder.feed(b"\n" + b"".join(encoded(0, HELLO)))) == 1
    assert decoder.malformed == 1


def test_chunks_of_several_threads_interleave() -> None:
    threads = {f"1,2,{tid}": ["close", tid, 1] for tid in (3, 4, 5)}
    told = [encoded(seq, *[content] * 900, sender=sender) for seq, (sender, content) in enumerate(threads.items())]
    assert all(len(lines) > 2 for lines in told)
    data = b"".join(line for lines in zip(*told, strict=True) for line in lines)
    packets, decoder = decoded(data)
    assert [(packet.tid, len(packet.messages)) for packet in packets] == [(3, 900), (4, 900), (5, 900)]
    assert (decoder.malformed, decoder.lost) == (0, 0)


@pytest.mark.parametrize("missing", [0, 1, -1])
def test_a_packet_without_one_of_its_chunks_is_lost(missing: int) -> None:
    lines = encoded(1, *['["close",1,2]'] * 900)
    del lines[missing]
    packets, decoder = decoded(b"".join([*encoded(0, HELLO), *lines, *encoded(2, '["close",3,4]')]))
    assert [packet.seq for packet in packets] == [0, 2]
    assert decoder.lost == 1


def test_unfinished_packets_are_few_and_short() -> None:
    decoder = Decoder()
    for tid in range(2 * UNFINISHED_LIMIT):
        decoder.feed(encoded(0, *['["close",1,2]'] * 900, sender=f"1,{tid},{tid}")[0])
    ends = [encoded(0, *['["close",1,2]'] * 900, sender=f"1,{tid},{tid}")[1:] for tid in range(2 * UNFINISHED_LIMIT)]
    finished = [packet.tid for lines in ends for packet in decoder.feed(b"".join(lines))]
    assert finished == list(range(UNFINISHED_LIMIT, 2 * UNFINISHED_LIMIT))
    assert decoder.feed(b"+1,2,3,0,0,%d,x\n" % (CHUNKS_LIMIT + 1)) == []
    assert decoder.malformed == 1


def test_lost_packets_are_counted_by_process_whatever_their_order() -> None:
    one = [encoded(seq, HELLO if seq == 0 else '["close",1,2]', sender="1,2,2") for seq in (0, 3, 1, 5)]  # no 2, no 4
    two = [encoded(seq, HELLO if seq == 0 else '["close",1,2]', sender="9,2,2") for seq in (0, 1)]
    _, decoder = decoded(b"".join(line for lines in [*one, *two] for line in lines))
    assert decoder.lost == 2


@pytest.mark.parametrize("line", [b"[1,2,2,%d,[]]\n", b"+1,2,2,%d,0,2,[\n"])
def test_a_number_that_no_hook_reaches_is_malformed(line: bytes) -> None:
    first, last = encoded(0, HELLO, sender="1,2,2"), encoded(1, '["close",1,2]', sender="1,2,2")
    packets, decoder = decoded(b"".join([*first, line % (1 << 62), line % (GAP_LIMIT + 1), *last]))
    assert [packet.seq for packet in packets] == [0, 1]
    assert (decoder.malformed, decoder.lost) == (2, 0)


def test_a_reused_pid_counts_anew() -> None:
    told = [(0, HELLO), (2, '["close",1,2]'), (0, HELLO), (1, '["close",1,2]'), (3, '["close",1,2]')]
    _, decoder = decoded(b"".join(line for seq, message in told for line in encoded(seq, message)))
    assert decoder.lost == 2


def test_a_packet_too_long_to_be_told_is_missed_by_its_number() -> None:
    assert len(encoded(0, '"' + "x" * (CHUNKS_LIMIT * LINE_LIMIT) + '"')) > channel.MAX_CHUNKS == CHUNKS_LIMIT
