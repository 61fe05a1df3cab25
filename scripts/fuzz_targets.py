"""The readers that scripts/fuzz tries, each with valid inputs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO, TextIOWrapper
from ipaddress import ip_address
from pathlib import Path
from struct import calcsize
from typing import Final

from fuzz_mutations import Kind
from msgspec.structs import replace

from tracer.classify.assumptions import matches_path
from tracer.classify.classification import classify, recheck
from tracer.classify.detailed_checks import check_in_detail
from tracer.classify.diff import compare
from tracer.classify.findings import compare_with_baseline, find
from tracer.classify.merge import merge
from tracer.classify.model import Classification
from tracer.classify.selection import by_unit, needs_of_tests
from tracer.classify.services.config import Config, load_config
from tracer.classify.services.identify import Identifier
from tracer.classify.services.rules import Rules
from tracer.classify.verified import Verified, unite
from tracer.commands.collected import read_collected
from tracer.errors import SvcTraceError
from tracer.record.boundary.packets import Decoder
from tracer.record.capture.bpf import wire
from tracer.record.capture.protocol import Kind as EventKind
from tracer.record.capture.strace import arguments as strace_arguments
from tracer.record.capture.strace.lines import Call, Lines
from tracer.record.names.answers import names_in
from tracer.record.names.compose import published_in
from tracer.record.names.containers import containers_in, name_at
from tracer.record.names.hosts_file import names_in as names_in_file
from tracer.record.names.interpolation import variables_in
from tracer.record.names.name import host_name
from tracer.record.names.openings import host_in
from tracer.reports import json_report
from tracer.reports.baseline import read_baseline
from tracer.reports.formats import FORMATS
from tracer.reports.pages.explain import page as explain_page
from tracer.reports.pages.summary import SummaryDocument
from tracer.reports.pages.validate import ValidationDocument
from tracer.reports.pages.verify import VerifyDocument
from tracer.reports.pytest_arguments import pytest_arguments
from tracer.reports.verify_json import read_verification
from tracer.reports.verify_json import render as render_verification
from tracer.trace.endpoint import Endpoint
from tracer.trace.file import read_trace

ROOT: Final = Path(__file__).parents[1]
GENERATED_AT: Final = datetime(2026, 11, 20, tzinfo=UTC)
_TURN: Final = itertools.count()
TRACE: Final = """\
{"schema":"svc-trace-trace/1","columns":{\
"run":["command","backend","kernel","started_at","start_ns","directory"],\
"process":["id","parent","pid","start_ns","command","end_ns","status","lineage_ns","earlier","earlier_until_ns"],\
"thread":["process","tid","start_ns","name","lineage_ns"],\
"span":["id","parent","process","tid","kind","start_ns","end_ns","subject","crashed"],\
"facts":["path","fixtures","markers","bases","autouse"],\
"attempt":["span","nodeid","facts","outcomes","instances"],\
"instance":["id","process","name","scope","baseid","node","param","requires"],\
"listen":["process","endpoint","network","start_ns","begins"],\
"flow":["process","tid","socket","endpoint","spans","first_ns","last_ns","sends","bytes","connects","established",\
"network","peer","prefixes","heads","errors","local","asked","unsure","host"],\
"listener":["endpoint","network","command"],"host":["name","address","source","ns","process","network","port"],\
"warning":["slug","message","hint"],\
"end":["end_ns","exit_status","lost_events","lost_boundaries","pytest_reported"]}}
["run",["pytest"],"libbpf","6.18.0",1763676000.0,1000,"/work"]
["process",1,0,10,1000,"pytest",9000,0]
["process",2,1,11,1100,"worker",null,null,1050,["sh"],[1070]]
["thread",1,12,1200,"pool",1150]
["facts","tests/test_a.py",["db"],["slow"],["a.Case"],["db"]]
["span",2,1,1,10,"collection",1200,1300,"tests/test_a.py"]
["span",4,3,1,10,"setup",1400,1500]
["span",5,4,1,10,"fixture",1410,1490,1]
["span",6,3,1,10,"call",1500,1600]
["span",3,1,1,10,"test",1400,1700,"tests/test_a.py::test_b"]
["span",1,0,1,10,"session",1100,8000,"/work"]
["instance",1,1,"db","session","tests","",null,[]]
["attempt",3,"tests/test_a.py::test_b",1,{"call":"failed"},[1]]
["listen",1,"tcp://0.0.0.0:8000",7,1150]
["flow",1,10,99,"tcp://127.0.0.1:5432",[5],1420,1430,3,120,1,1,7,0,["0000000804d2162f"],{},{},true]
["flow",2,12,98,"tcp://[::1]:9092",[],1520,1630,3,120,1,0,7,0,["00000020001200040000000100"],\
{"0000002000120004":3},{"ECONNREFUSED":1},true]
["flow",1,10,97,"unix:///run/redis.sock",[6],1520,1630,3,120,1,1,7,2,["2a310d0a"]]
["listener","tcp://127.0.0.1:5432",7,"postgres"]
["host","db.internal","127.0.0.1","dns",5200,3,7]
["warning","lost-events","something was lost","Do it again."]
["end",9000,0,0,0]
"""
CONFIGURATION: Final = """\
extends = ["django"]
[services.postgres]
ports = [5432, "15432-15440"]
hosts = ["localhost", "10.0.0.0/8", "10.0.*"]
unix = ["*/.s.PGSQL.*"]
protocol = "postgres"
[services.agent]
unix = ["@agent"]
ignore = true
[services.kafka]
ports = [9092]
[services.users]
hosts = ["api.*"]
paths = ["/", "/api/users"]
[assumptions.postgres]
fixtures = ["db"]
markers = ["django_db"]
classes = ["django.test.TestCase"]
paths = ["tests/**/test_[ab]*.py"]
in_class = true
[[tiers]]
name = "none"
within = []
[[tiers]]
name = "kafka"
any = ["kafka"]
[[contracts]]
marker = "not unit"
services = "some"
[[contracts]]
path = "tests/unit/**"
services = ["postgres"]
[variants]
parameters = ["rust*"]
class_suffixes = ["Rust"]
"""
VERDICTS: Final = """\
{"schema": "svc-trace-verify/1", "generated_at": "2026-11-21T22:00:00Z", "command": ["pytest"],
"without": ["(unknown)", "kafka"], "complete": true, "runs_with": 1, "runs_without": 2, "tests": {
"a.py::b": {"verdict": "needs", "outcome_with": "passed", "outcome_without": "error", "refused": 2,
"through": "fixture:pool@tests", "duration_with_s": 0.25, "duration_without_s": 5.5, "tried": ["kafka"]},
"a.py::c": {"verdict": "undecided", "outcome_with": null, "outcome_without": "failed", "refused": 0,
"through": "module:a.py", "duration_with_s": null, "duration_without_s": 1, "tried": [], "reason": "missing-with"},
"a.py::d": {"verdict": "tolerates", "outcome_with": "passed", "outcome_without": "xpassed", "through": "fixture:db",
"duration_with_s": 0.1, "duration_without_s": 9.0}}}
"""
MESSAGES: Final = """\
[4026531836,17,18,0,[["hello",1,"3.13.0","9.2.0",null],["open",1,5,"session","/work",null]]]
[4026531836,17,18,1,[["facts",1,{"path":"t.py","fixtures":["db"],"markers":[],"bases":["a.B"]}],["open",2,6,"test","t.py::a",1]]]
[4026531836,17,18,2,[["instance",1,"db","session","","",null],["uses",2,[1]],["requires",1,[1]],["open",3,7,"fixture",1]]]
[4026531836,17,18,3,[["phase",8,"call"],["report",2,"call","failed"],["close",3,9],["interrupted",2,10]]]
+4026531836,17,18,4,0,2,["phase",8
+4026531836,17,18,4,1,2,,"call"]
"""

COMPOSE: Final = """\
x-web: &web
  ports: ["80:80", "127.0.0.1:8000-8001:8000/udp"]
services:
  web:
    <<: *web
  db:
    ports:
      - ${PORT:-15432}:5432
      - {target: 5433, published: "5433", host_ip: "::1", protocol: tcp}
"""
ANSWER: Final = """\
0001818000010003000000010363646e076578616d706c6503636f6d0000010001c00c000500010000012c001504643131310a636c6f\
756466726f6e74036e657400c02d000100010000003c00045db8d822c02d000100010000003c00045db8d82300002920000000000000\
00"""
"""A name server's answer: cdn.example.com is an alias, which has two addresses."""
RESOLVED: Final = (
    b'{"parameters":{"addresses":[{"family":2,"address":[93,184,216,34]},{"ifindex":2,"family":10,'
    b'"address":[38,6,40,0,2,32,0,1,0,0,0,0,0,0,0,1]}],"name":"api.example.com","flags":8388609}}\0'
)


@dataclass(frozen=True)
class Target:
    """A reader: it takes bytes, and may return an outcome."""

    read: Callable[[bytes], object]  # None, or the outcome; a valid input has None
    seeds: list[bytes]  # valid inputs
    kind: Kind


def _file(read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """A reader of a file as a reader of bytes. The file is in memory."""
    descriptor = os.memfd_create("input")
    path = Path(f"/proc/self/fd/{descriptor}")

    def read_bytes(data: bytes) -> None:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, data, 0)
        read(path)

    return read_bytes


def _config(directory: Path) -> Config:
    path = directory / "good.toml"
    path.write_text(CONFIGURATION)
    return load_config(path, directory)


def _interpret(classification: Classification, rules: Rules) -> None:
    """Do what the commands do with a report."""
    list(json_report.render(classification))
    document = SummaryDocument(classification, (), 2, None)
    for form in ("markdown", "terminal") if next(_TURN) % 50 == 0 else ():  # they take most of the time
        FORMATS[form].print(document, TextIOWrapper(BytesIO()))
    for form in ("junit", "ctrf"):
        FORMATS[form].print(document, TextIOWrapper(BytesIO()))
    list(document.page())
    for nodeid in list(classification.tests)[:2]:
        list(explain_page(classification, nodeid))
    find(recheck(classification, rules))
    compared = compare_with_baseline(find(classification), (), ())
    validation = ValidationDocument(classification, check_in_detail(classification, ()), compared, None, False)
    list(validation.page())
    for form in ("github", "codequality"):
        FORMATS[form].print(validation, TextIOWrapper(BytesIO()))
    for unit in ("test", "class", "file"):
        by_unit(needs_of_tests(classification, None, ambient=True), unit)


def _trace(directory: Path) -> Target:
    config = _config(directory)

    def read(path: Path) -> None:
        _interpret(classify(read_trace(path), config, generated_at=GENERATED_AT), Rules())

    return Target(_file(read), [TRACE.encode()], "json lines")


def _report(directory: Path) -> Target:
    config = _config(directory)
    path = directory / "trace"
    path.write_text(TRACE)
    one = classify(read_trace(path), config, generated_at=GENERATED_AT)
    (directory / "verdicts").write_text(VERDICTS.replace("a.py::", "tests/test_a.py::test_"))
    verified = replace(one, verified=(read_verification(directory / "verdicts"),))
    seeds = [b"".join(json_report.render(part)) for part in (one, merge([verified]))]

    def read(path: Path) -> None:
        classification = json_report.read_classification(path)
        _interpret(classification, config.rules)
        compare(one, classification)
        merge([recheck(one, classification.rules), classification])

    return Target(_file(read), seeds, "json")


def _baseline(directory: Path) -> Target:
    seed = b'# accepted\nblind-spots kafka t.py::a[b - c]\nunknown tcp://10.0.0.1:70\ncontracts "a b" "t\\u0000"\n'
    return Target(_file(read_baseline), [seed], "lines")


def _verdicts(_: Path) -> Target:
    def read(path: Path) -> None:
        one = read_verification(path)
        again = b"".join(render_verification(one))
        (united,) = unite([one, one])
        assert b"".join(render_verification(united)) == again
        document = VerifyDocument(one)
        list(document.page())
        for form in ("markdown", "terminal") if next(_TURN) % 50 == 0 else ():
            FORMATS[form].print(document, TextIOWrapper(BytesIO()))
        for nodeid in list(one.tests)[:2]:
            Verified([one]).needed(nodeid)

    return Target(_file(read), [VERDICTS.encode()], "json")


def _configuration(directory: Path) -> Target:
    _config(directory)
    return Target(
        _file(lambda path: load_config(path, directory)),
        [part.encode() for part in (CONFIGURATION, CONFIGURATION.partition("[services.kafka]")[0])],
        "lines",
    )


def _list(directory: Path) -> Target:
    seed = b"warning\n\ntests/test_a.py::test_b\ntests/test_a.py::T::test_c[x-1]\n\n2 tests collected\n"
    return Target(_file(lambda path: read_collected(path, ["a.py::x[1]"])), [seed], "lines")


def _messages(_: Path) -> Target:
    def read(data: bytes) -> object:
        decoder = Decoder()
        packets = decoder.feed(data[: len(data) // 2]) + decoder.feed(data[len(data) // 2 :] + b"\n")
        times = [packet.ns for packet in packets]
        return (decoder.malformed, len(times)) if decoder.malformed else None

    return Target(read, [MESSAGES.strip().encode()], "json lines")


def _records(_: Path) -> Target:
    kinds = [int(kind) for kind in EventKind]
    size = max(wire.layout(name).size for name in ("svc_socket_event", "svc_task_event"))
    place = 0
    for field, form in wire.FIELDS["svc_event"]:
        if field == "kind":
            break
        place += calcsize(form)

    def read(data: bytes) -> None:
        record = bytearray(data[:size].ljust(size, b"\0"))
        record[place] = kinds[record[place] % len(kinds)]  # the probes emit no other kind
        wire.decode(memoryview(record), 0)

    def seed(kind: int, family: int) -> bytes:
        some = {"kind": kind, "family": family, "protocol": 6, "port": 5432, "flags": 1, "head_len": 8, "process": 1}
        values = [b"" if form.endswith("s") else some.get(field, 0) for field, form in wire.FIELDS["svc_event"]]
        return wire.EVENT.pack(*values).ljust(size, b"\0")

    return Target(read, [seed(kind, family) for kind in kinds for family in (1, 2, 10)], "bytes")


def _strace(_: Path) -> Target:
    parsers: Final[list[Callable[[str], object]]] = [
        strace_arguments.descriptor,
        strace_arguments.socket_descriptor,
        lambda text: list(strace_arguments.socket_descriptors(text)),
        strace_arguments.descriptor_range,
        strace_arguments.first_string,
        strace_arguments.second_address,
        strace_arguments.socket_type,
        strace_arguments.socket_error,
        strace_arguments.host_tid,
        strace_arguments.namespace,
        lambda text: list(strace_arguments.sent_messages(text)),
        lambda text: strace_arguments.mount("mount", text),
        lambda text: strace_arguments.mount("move_mount", text),
    ]
    sends = ("write", "writev", "pwritev2", "sendto", "sendmsg", "sendmmsg")

    def read(data: bytes) -> object:
        lines, parsed = Lines(lambda ns: ns), 0
        for item in (*lines.feed(data[: len(data) // 2]), *lines.feed(data[len(data) // 2 :] + b"\n")):
            if isinstance(item, Call):
                for bit, parse in enumerate(parsers):
                    parsed |= bool(parse(item.arguments)) << bit
                strace_arguments.host_tid(item.returned)
                strace_arguments.sent(item.name if item.name in sends else "sendto", item.arguments)
        return (lines.unknown, parsed) if lines.unknown else None

    logs = [ROOT / f"tests/unit/record/strace/data/{name}.log" for name in ("traffic", "tree")]
    lines = [line for log in logs for line in log.read_bytes().splitlines(keepends=True)]
    return Target(read, [b"".join(lines[at : at + 2]) for at in range(0, len(lines), 2)], "lines")


def _endpoint(_: Path) -> Target:
    def read(data: bytes) -> object:
        text = data.decode("utf-8", "surrogateescape")
        try:
            endpoint = Endpoint.parse(text)
        except ValueError:
            return "refused"
        assert Endpoint.parse(endpoint) == endpoint
        identifier.service_of(endpoint)
        return None

    identifier = Identifier(Config(None, {}, Rules()))
    seeds = [b"tcp://127.0.0.1:5432", b"udp://[::1]:53", b"unix:///run/x.sock", b"unix://@x", b"tcp://db.example:1"]
    return Target(read, seeds, "bytes")


def _openings(_: Path) -> Target:
    def read(data: bytes) -> None:
        name = host_in(data)
        assert host_name(name) == name

    lines = (ROOT / "tests/unit/record/names/data/openings.tsv").read_text().splitlines()
    return Target(read, [bytes.fromhex(line.rpartition("\t")[2]) for line in lines if line[0] != "#"], "bytes")


def _answers(_: Path) -> Target:
    def read(data: bytes) -> None:
        for name, address in names_in(data):
            assert name
            assert host_name(name) == name
            assert str(ip_address(address)) == address

    answer = bytes.fromhex(ANSWER)
    return Target(read, [answer, len(answer).to_bytes(2, "big") + answer, RESOLVED], "bytes")


def _hosts(_: Path) -> Target:
    def read(data: bytes) -> None:
        for address, names in names_in_file(data.decode("latin-1")).items():
            assert str(ip_address(address)) == address
            assert names == tuple(map(host_name, names))

    seed = b"127.0.0.1 localhost\n10.0.0.5\tdb.internal db # primary\n\n::1 ip6-localhost\nfe80::1%eth0 Router.\n"
    return Target(read, [seed], "lines")


def _containers(_: Path) -> Target:
    def read(data: bytes) -> object:
        containers = containers_in(data)
        name = name_at(containers or (), Endpoint("tcp", "127.0.0.1", 15432), local=True)
        assert host_name(name) == name
        return None if containers else "refused"

    answers = ROOT / "tests/unit/record/names/answers"
    return Target(read, [path.read_bytes() for path in sorted(answers.iterdir())], "bytes")


def _compose(_: Path) -> Target:
    def read(data: bytes) -> object:
        text = data.decode("utf-8", "surrogateescape")
        published = published_in(text, variables_in(text, {"PORT": "5432"}))
        assert all(host_name(one.service) == one.service for one in published)
        return None if published else "nothing"

    return Target(read, [COMPOSE.encode()], "lines")


def _globs(_: Path) -> Target:
    def read(data: bytes) -> None:
        path, _, pattern = data.decode("utf-8", "surrogateescape").partition("\0")
        matches_path(path, pattern[:1024])  # a configuration has no longer ones

    seeds = [b"tests/a/test_b.py\0tests/**/test_*.py", b"a/b/c/d\0**/[!x]/**/?", b"a\0[a-z]", b"x/y.py\0**/**/*.py"]
    return Target(read, seeds, "bytes")


def _arguments(_: Path) -> Target:
    def read(data: bytes) -> object:
        names = data.decode("utf-8", "surrogateescape").split("\n")
        try:
            pytest_arguments(names, b"\0")
            pytest_arguments(names, b"\n")
        except SvcTraceError as error:
            return error.slug
        return None

    return Target(read, [b"tests/test_a.py::test_b\n-x.py::c\n@d.py::e"], "bytes")


TARGETS: Final[Mapping[str, Callable[[Path], Target]]] = {
    "trace": _trace,
    "report": _report,
    "verdicts": _verdicts,
    "baseline": _baseline,
    "configuration": _configuration,
    "collected": _list,
    "messages": _messages,
    "records": _records,
    "strace": _strace,
    "endpoint": _endpoint,
    "openings": _openings,
    "answers": _answers,
    "hosts": _hosts,
    "containers": _containers,
    "compose": _compose,
    "globs": _globs,
    "arguments": _arguments,
}
"""Name → makes the target, which may write to the directory."""
