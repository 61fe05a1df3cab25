from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.names.interpolation import interpolate, variables_in

SET = {"PORT": "5432", "EMPTY": "", "X": "$PORT"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("$PORT:5432", "5432:5432"),
        ("${PORT}1", "54321"),
        ("$PORT1", ""),
        ("a$$PORT", "a$PORT"),
        ("$", "$"),
        ("1$ 2", "1$ 2"),
        ("${NONE:-15432}:5432", "15432:5432"),
        ("${EMPTY:-1}${EMPTY-1}", "1"),
        ("${NONE-1}", "1"),
        ("${PORT:-1}${PORT-1}", "54325432"),
        ("${PORT:+1}${NONE:+2}${EMPTY:+3}${EMPTY+4}", "14"),
        ("${PORT:?no}${NONE:?no}${NONE?no}", "5432"),
        ("${NONE:-${ALSO_NONE:-${PORT}}}:1", "5432:1"),
        ("${NONE:-$PORT}", "5432"),
        ("$X", "$PORT"),
        ("${PORT", "5432"),
        ("${}-${1}-${PORT/5/6}", "--5432"),
    ],
)
def test_variables_in_a_value(text: str, value: str) -> None:
    assert interpolate(text, SET) == value


@given(st.text() | st.lists(st.sampled_from(["$", "{", "}", ":-", "-", "PORT", "1"])).map("".join))
def test_no_value_is_an_error(text: str) -> None:
    assert isinstance(interpolate(text, SET), str)


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("A=1\nB = 2 \n# C=3\nexport D=4\nE: 5\n\nF", {"A": "1", "B": "2", "D": "4", "E": "5"}),
        ("A=1 # one\nB=1# one", {"A": "1", "B": "1# one"}),
        ("A='1 # one' # two\nB=\"1 # one\"", {"A": "1 # one", "B": "1 # one"}),
        ("A=${PORT}1\nB='$PORT'\nC=\"$A\"", {"A": "54321", "B": "$PORT", "C": "54321"}),
        ("PORT=1\nA=$PORT", {"A": "5432"}),
        ("A=\nB=#", {"A": "", "B": ""}),
        ("A='1\n\0\nB=2", {"A": "'1", "B": "2"}),
    ],
)  # fmt: skip
def test_variables_of_a_file(text: str, added: dict[str, str]) -> None:
    assert variables_in(text, SET) == SET | added


@given(st.text())
def test_no_file_is_an_error(text: str) -> None:
    assert variables_in(text, SET).items() >= SET.items()
