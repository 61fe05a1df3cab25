from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracer.classify.findings import Finding
from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.baseline import read_baseline, render

texts = st.text(st.characters(codec=None), min_size=1)
findings = st.builds(Finding, st.sampled_from(["blind-spots", "contracts", "over-assumed"]), texts, texts) | st.builds(
    Finding, st.just("unknown"), texts, st.just("")
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("baseline") / "accepted"


@given(st.sets(findings), st.randoms(use_true_random=False))
@example({Finding("contracts", "marker:a b=none", " t[a  b] ")}, random.Random(0))
@example({Finding("unknown", "unix:///run/a b#c", ""), Finding("unknown", "#x", "")}, random.Random(0))
@example({Finding("blind-spots", "kafka", '"a"'), Finding("blind-spots", "k", "a\ud800\n\x85b")}, random.Random(0))
def test_findings_come_back_whatever_the_order_of_lines(file: Path, found: set[Finding], chance: random.Random) -> None:
    data = b"".join(render(found))
    lines = data.split(b"\n")
    chance.shuffle(lines)
    for text in (data, b"\n".join(lines), data.replace(b"\n", b"\r\n")):
        file.write_bytes(text)
        assert read_baseline(file) == found


def test_the_file_is_plain_and_sorted() -> None:
    found = [
        Finding("unknown", "tcp://10.0.0.1:70", ""),
        Finding("over-assumed", "postgres", "t.py::b"),
        Finding("blind-spots", "kafka", "t.py::test[a b - é]"),
        Finding("loss", "incomplete", ""),
        Finding("blind-spots", "kafka", "t.py::a"),
    ]
    lines = b"".join(render(found)).decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "blind-spots kafka t.py::a",
        "blind-spots kafka t.py::test[a b - é]",
        "over-assumed postgres t.py::b",
        "unknown tcp://10.0.0.1:70",
    ]


def test_comments_and_empty_lines_are_skipped(file: Path) -> None:
    file.write_text("# why\n\n  blind-spots   kafka   t.py::a \n\t# because\n")
    assert read_baseline(file) == {Finding("blind-spots", "kafka", "t.py::a")}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"blind-spots", "not a finding"),
        (b"blindspots kafka t.py::a", "the kind 'blindspots' does not exist"),
        (b"loss incomplete", "the kind 'loss' does not exist"),
        (b'blind-spots "kafka t.py::a', "Unterminated string"),
        (b"blind-spots kafka \xff", "can't decode"),
    ],
)
def test_a_file_that_is_not_a_baseline_is_an_error(file: Path, line: bytes, problem: str) -> None:
    file.write_bytes(b"# accepted\n" + line + b"\n")
    with pytest.raises(SvcTraceError) as raised:
        read_baseline(file)
    assert raised.value.message.startswith(f"{file}, line 2: ")
    assert problem in raised.value.message
    assert (raised.value.slug, raised.value.exit_code) == ("bad-baseline", ExitStatus.BAD_INPUT)
