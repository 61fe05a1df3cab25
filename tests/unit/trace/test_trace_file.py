from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from plain import plain

from tracer.errors import ExitStatus, SvcTraceError
from tracer.trace.endpoint import Endpoint
from tracer.trace.file import SCHEMA, TraceWriter, is_trace, read_records, read_trace
from tracer.trace.ids import SpanId
from tracer.trace.input_file import open_input
from tracer.trace.records import (
    Attempt,
    End,
    Flow,
    HostName,
    Instance,
    Listener,
    Process,
    Record,
    Refused,
    Run,
    Span,
    SpanKind,
    StaticFacts,
    Thread,
)
from tracer.trace.rows import RECORD_TYPES

RUN = Run(("pytest", "-q"), "libbpf", "6.18.0", 1763676000.5, 81273645, "/home/me/project")
SPAN = plain(Span)(12, 11, 3, 4711, "test", 100, 200, "tests/test_a.py::test_b")
FLOW = plain(Flow)(3, 4711, 99, Endpoint("tcp", "127.0.0.1", 5432), (12,), 110, 120, sends=3, bytes=120)
END = End(300, 0, 0, 0)

SCALARS: Mapping[object, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**64 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    NoneType: st.none(),
    # Lone surrogates as PEP 383 makes them, next to every other character.
    str: st.text(st.characters() | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"])),
}


ENDPOINTS: Final = st.one_of(
    st.builds(Endpoint, st.just("unix"), st.just(""), st.just(0), SCALARS[str]),
    st.builds(
        Endpoint,
        st.sampled_from(["tcp", "udp", "ip200"]),
        st.ip_addresses().map(str),
        st.integers(0, 65535),
        st.just(""),
    ),
)

HEXADECIMAL: Final = st.binary(max_size=32).map(bytes.hex)


def values(hint: object) -> st.SearchStrategy[Any]:
    hint = getattr(hint, "__supertype__", hint)  # of a NewType
    if hint is Endpoint:
        return ENDPOINTS
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in SCALARS:
        return SCALARS[hint]
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (dict, Mapping):
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if origin in (UnionType, Union):
        return st.one_of([values(argument) for argument in arguments])
    elements = st.lists(values(arguments[0]), max_size=3)
    return elements.map(tuple) if origin is tuple else elements


def records_of(record_type: type[Record]) -> st.SearchStrategy[Record]:
    fields = {name: values(hint) for name, hint in get_type_hints(record_type).items()}
    if record_type is Run:
        fields["started_at"] = st.floats(0, 253402300799)  # up to the year 9999
    if record_type is Flow:
        fields["prefixes"] = st.lists(HEXADECIMAL, max_size=4).map(tuple)
        fields["heads"] = st.dictionaries(HEXADECIMAL, SCALARS[int], max_size=3)
    if record_type is HostName:
        fields["address"] = st.ip_addresses().map(str)
    if record_type is Refused:
        fields["network"] = st.just("") | st.ip_addresses().map(str)
    return st.builds(record_type, **fields)


def written(path: Path, *records: Record) -> Path:
    with TraceWriter(path) as writer:
        for record in records:
            writer.write(record)
    return path


def lines_of(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def header(**columns: list[str]) -> str:
    return json.dumps({"schema": SCHEMA, "columns": columns})


@pytest.mark.parametrize("tag", RECORD_TYPES)
def test_every_record_comes_back_as_it_was(tag: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("trace") / "run.svctrace"

    @given(st.lists(records_of(RECORD_TYPES[tag]), max_size=5))
    def round_trip(records: list[Record]) -> None:
        assert list(read_records(written(path, *records))) == records

    round_trip()


def test_two_surrogates_of_one_character_come_back_as_that_character(tmp_path: Path) -> None:
    high, low = "\N{GRINNING FACE}".encode("utf-16-be")[:2], "\N{GRINNING FACE}".encode("utf-16-be")[2:]
    pair = high.decode("utf-16-be", "surrogatepass") + low.decode("utf-16-be", "surrogatepass")
    path = written(tmp_path / "t", plain(Thread)(1, 2, 3, pair))
    assert list(read_records(path)) == [plain(Thread)(1, 2, 3, "\N{GRINNING FACE}")]


def test_a_trace_holds_what_was_written(tmp_path: Path) -> None:
    born, dead = plain(Process)(3, 0, 4711, 90, "pytest"), plain(Process)(3, 0, 4711, 90, "pytest", 290, 0)
    trace = read_trace(written(tmp_path / "t", RUN, born, SPAN, FLOW, dead, END))
    assert (trace.run, trace.spans, trace.flows, trace.end) == (RUN, {12: SPAN}, (FLOW,), END)
    assert trace.processes == {3: dead}, "of two records with one id the later one stands"
    assert trace.complete


def test_phases_and_narrow_fixtures_are_read_only_where_something_was(tmp_path: Path) -> None:
    def span(number: int, parent: int, kind: SpanKind, subject: int | None = None) -> Span:
        return plain(Span)(number, parent, 3, 4711, kind, number, 100, subject)

    narrow, wide = (
        plain(Instance)(number, 3, "f", scope, "", "", None) for number, scope in ((1, "function"), (2, "module"))
    )
    sent = [span(12, 0, "test"), span(13, 12, "setup"), span(14, 13, "fixture", 1), span(15, 14, "fixture", 1)]
    kept = [span(16, 12, "call"), span(17, 16, "fixture", 2), span(18, 0, "collection"), span(19, 0, "session")]
    quiet = [span(20, 16, "fixture", 1), span(21, 12, "teardown"), span(22, 21, "fixture", 1)]
    path = written(tmp_path / "t", RUN, narrow, wide, *sent, *quiet, *kept, replace(FLOW, spans=(SpanId(15),)))
    assert set(read_trace(path).spans.values()) == {*sent, *kept}
    assert {record for record in read_records(path) if isinstance(record, Span)} == {*sent, *quiet, *kept}


def test_the_file_is_utf8_lines_and_trailing_defaults_may_be_missing(tmp_path: Path) -> None:
    first, *rest = gzip.decompress(written(tmp_path / "t", SPAN, FLOW).read_bytes()).decode().splitlines()
    assert json.loads(first)["columns"]["end"] == list(End.__struct_fields__)
    assert rest == [
        '["span",12,11,3,4711,"test",100,200,"tests/test_a.py::test_b",false]',
        '["flow",3,4711,99,"tcp://127.0.0.1:5432",[12],110,120,3,120,0,0,0,0,[],{},{},false,null,0,""]',
    ]
    short = lines_of(tmp_path / "short", first, rest[0].replace(",false", ""), rest[1].partition(",0,0")[0] + "]")
    assert list(read_records(short)) == [SPAN, FLOW]


def test_values_are_found_by_their_columns_names(tmp_path: Path) -> None:
    path = lines_of(
        tmp_path / "t",
        header(thread=["name", "colour", "tid", "start_ns", "process"], weather=["rain"]),
        '["weather", 12]',
        '["thread", "rdk:broker1", "red", 5, 6, 7]',
    )
    assert list(read_records(path)) == [plain(Thread)(process=7, tid=5, start_ns=6, name="rdk:broker1")]


def test_records_are_read_by_their_earlier_names(tmp_path: Path) -> None:
    path = lines_of(
        tmp_path / "t",
        header(thread=["process", "tid", "start_ns", "name", "line_ns"], owner=["endpoint", "network", "command"]),
        '["thread",7,8,9,"worker",5]',
        '["owner","tcp://0.0.0.0:80",1,"nginx"]',
    )
    assert list(read_records(path)) == [
        plain(Thread)(process=7, tid=8, start_ns=9, name="worker", lineage_ns=5),
        plain(Listener)(Endpoint("tcp", "0.0.0.0", 80), 1, "nginx"),
    ]


def test_static_facts_are_numbered_by_their_order_as_in_traces_with_a_column_for_the_number(tmp_path: Path) -> None:
    path = lines_of(
        tmp_path / "t",
        header(
            run=list(RUN.__struct_fields__),
            facts=["id", *StaticFacts.__struct_fields__],
            attempt=list(Attempt.__struct_fields__),
        ),
        json.dumps(["run", *(getattr(RUN, name) for name in RUN.__struct_fields__)]),
        '["facts",1,"a.py",["db"],[],[]]',
        '["facts",2,"b.py",[],["slow"],[]]',
        '["attempt",1,"b.py::b",2,{},[]]',
        '["attempt",2,"c.py::c",0,{},[]]',
    )
    trace = read_trace(path)
    assert [trace.facts_of(attempt) for attempt in trace.attempts] == [StaticFacts("b.py", (), ("slow",), ()), None]
    assert trace.facts[0] == StaticFacts("a.py", ("db",), (), ())


def test_missing_columns_take_the_default(tmp_path: Path) -> None:
    path = lines_of(
        tmp_path / "t", header(process=["id", "parent", "pid", "start_ns", "command"]), '["process",1,0,2,3,"x"]'
    )
    assert list(read_records(path)) == [plain(Process)(1, 0, 2, 3, "x", end_ns=None, status=None)]


def test_an_unpacked_trace_is_read_as_well(tmp_path: Path) -> None:
    packed = written(tmp_path / "t.gz", RUN, SPAN, END)
    plain = tmp_path / "t"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    with open_input(plain) as file:
        assert is_trace(file)
    assert read_trace(plain) == read_trace(packed)


@pytest.mark.parametrize("unpack", [gzip.decompress, bytes], ids=["plain", "gzip"])
def test_a_cut_off_trace_is_read_up_to_there(tmp_path: Path, unpack: Callable[[bytes], bytes]) -> None:
    whole = unpack(written(tmp_path / "t", RUN, SPAN, FLOW, END).read_bytes())
    path = tmp_path / "cut"
    problems, lengths = set(), set()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            records = list(read_records(path))
        except SvcTraceError as error:
            problems.add(error.message)
        else:
            assert records == [RUN, SPAN, FLOW, END][: len(records)]
            lengths.add(len(records))
    assert problems == {f"{path}, line 1: not a trace: no header"}
    assert lengths >= {0, 3}


def test_a_trace_without_its_end_is_not_complete(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path / "t", RUN, SPAN))
    assert trace.end is None
    assert not trace.complete


def test_what_was_recorded_before_an_error_is_kept_beside(tmp_path: Path) -> None:
    def record_and_fail() -> None:
        with TraceWriter(tmp_path / "t") as writer:
            writer.write(RUN)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        record_and_fail()
    assert [path.name for path in tmp_path.iterdir()] == ["t.partial"]
    assert read_trace(tmp_path / "t.partial").run == RUN


def test_closing_renames_and_may_be_repeated(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "t")
    assert [path.name for path in tmp_path.iterdir()] == ["t.partial"]
    writer.close()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("nonsense", "not JSON"),
        ('"run"', "a record is a list that begins with its tag"),
        ("[]", "a record is a list that begins with its tag"),
        ('["weather"]', "the header has no columns for 'weather'"),
        ('["thread", 1, 2, 3, "x", 5]', "thread: 5 values for 4 columns"),
        ('["thread", 1, 2, 3]', "thread: Object missing required field `name`"),
        ('["thread", 1, "2", 3, "x"]', "thread: Expected `int`, got `str` - at `$.tid`"),
        ('["thread", true, 2, 3, "x"]', "thread: Expected `int`, got `bool` - at `$.process`"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, row: str, problem: str) -> None:
    path = lines_of(tmp_path / "t", header(thread=["process", "tid", "start_ns", "name"]), '["thread",1,2,3,"x"]', row)
    with pytest.raises(SvcTraceError) as raised:
        list(read_records(path))
    assert raised.value.message.startswith(f"{path}, line 3: {problem}")
    assert (raised.value.slug, raised.value.exit_code) == ("bad-trace", ExitStatus.BAD_INPUT)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: not a trace: no header"),
        ("{}\n", "line 1: not a trace that this version reads: its schema is None"),
        (
            '{"schema":"svc-trace-trace/2"}\n',
            "line 1: not a trace that this version reads: its schema is 'svc-trace",
        ),
        (f'{{"schema":"{SCHEMA}"}}\n', "line 1: Expected `object`, got `null`"),
        (header() + "\n", "line 2: it has no run"),
    ],
)
def test_a_file_that_is_no_trace_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "t"
    path.write_text(text)
    with pytest.raises(SvcTraceError, match=problem) as raised:
        read_trace(path)
    assert raised.value.exit_code == ExitStatus.BAD_INPUT


@given(st.binary())
def test_damage_is_never_anything_but_a_told_error(tmp_path_factory: pytest.TempPathFactory, damage: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(header(flow=["process", "errors"]).encode() + b"\n" + damage + b"\n")
    with pytest.raises(SvcTraceError):
        read_trace(path)


@pytest.mark.parametrize("name", ["missing/t", "directory"])
def test_a_path_that_cannot_be_written_is_told_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(SvcTraceError) as raised:
        TraceWriter(tmp_path / name)
    assert (raised.value.slug, raised.value.exit_code) == ("cannot-write", ExitStatus.CANNOT_WRITE)
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SvcTraceError) as raised:
        read_trace(tmp_path / "none")
    assert (raised.value.slug, raised.value.exit_code) == ("cannot-read", ExitStatus.BAD_INPUT)
