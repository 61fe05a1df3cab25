from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from tracer.errors import SvcTraceError
from tracer.reports.pytest_arguments import pytest_arguments

NAMES = ["a b.py::x[ 1 ]", "é.py::x['\"$(*)\\t]", "./a.py::x[#]", "a.py::x[]"]


def test_a_file_of_arguments_is_read_as_it_was_meant(tmp_path: Path) -> None:
    (tmp_path / "selected").write_bytes(b"".join(pytest_arguments([*NAMES, "-x.py::y", "@x.py::y"], b"\n")))
    parser = argparse.ArgumentParser(fromfile_prefix_chars="@")  # as pytest's
    parser.add_argument("names", nargs="*")
    assert parser.parse_args([f"@{tmp_path}/selected"]).names == [*NAMES, "./-x.py::y", "./@x.py::y"]


def test_xargs_hands_over_any_name() -> None:
    names = [*NAMES, "a.py::x[\n\u2028]", "\udce9.py::x"]
    program = "import sys, os; sys.stdout.buffer.write(b'|'.join(map(os.fsencode, sys.argv[1:])))"
    result = subprocess.run(
        ["xargs", "-0", sys.executable, "-c", program],
        input=b"".join(pytest_arguments(names, b"\0")),
        capture_output=True,
        check=True,
    )
    assert result.stdout == b"|".join(name.encode("utf-8", "surrogateescape") for name in names)


@pytest.mark.parametrize("name", ["a\n.py::x", "a.py::x[\u2028]", "a.py::x\r", "a.py::x\x0c", "\udce9.py::x", ""])
def test_a_name_that_is_not_one_line_is_refused(name: str) -> None:
    with pytest.raises(SvcTraceError) as raised:
        pytest_arguments(["a.py::x", name], b"\n")
    assert raised.value.slug == "not-selectable"
    assert name.encode("unicode_escape").decode() in raised.value.message
    assert pytest_arguments([name], b"\0") == [name.encode("utf-8", "surrogateescape") + b"\0"]


@pytest.mark.parametrize("name", ["a.py::x[\0]", "a.py::x[\ud800]"])
def test_a_name_that_no_process_can_be_given_is_refused(name: str) -> None:
    with pytest.raises(SvcTraceError, match="cannot be an argument of pytest"):
        pytest_arguments([name], b"\0")
