from __future__ import annotations

import os
from pathlib import Path

import pytest

from tracer.commands.test_places import places_here
from tracer.reports.annotations import Place

SOURCE = """\
import pytest

@pytest.mark.parametrize("x", ["a::b", "[c]"])
@pytest.mark.slow
def test_it(x):
    def test_within(): ...

class TestOne(Base):
    def helper(self): "\\d"

    class TestInner:
        async def test_it(self): ...

try:
    import missing
except ImportError:
    def test_twice(): ...
else:
    with something:
        def test_twice(): ...
match 1:
    case 1:
        class TestCase: ...
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, in whose directory `sub` pytest runs."""
    directory = tmp_path / "repository" / "sub"
    directory.mkdir(parents=True)
    (tmp_path / "repository" / ".git").touch()  # a file in a worktree
    monkeypatch.chdir(directory)
    return directory


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ("test_it[a::b]", 5),
        ("test_it[[c]]", 5),
        ("TestOne::TestInner::test_it", 12),
        ("TestOne::test_inherited[x]", 8),
        ("test_within", None),
        ("test_twice", 20),
        ("TestCase::test_inherited", 23),
        ("", None),
    ],
)
def test_the_line_of_a_test(suite: Path, names: str, line: int | None) -> None:
    (suite / "test_a [1],é.py").write_text(SOURCE)
    assert places_here()(f"test_a [1],é.py::{names}") == Place("sub/test_a [1],é.py", line)


@pytest.mark.parametrize(
    "content",
    [
        b"def test_it(: ...",
        b"\0",
        b"# coding: martian\ndef test_it(): ...",
        b"(" * 1000,
        b"if x: pass\n" + b"elif x: pass\n" * 20_000,
        b"#" * (1 << 20) + b"\ndef test_it(): ...",
    ],
    ids=["syntax", "nul", "coding", "brackets", "nested", "large"],
)
def test_a_file_that_cannot_be_parsed_has_no_lines(suite: Path, content: bytes) -> None:
    (suite / "test_a.py").write_bytes(content)
    assert places_here()("test_a.py::test_it") == Place("sub/test_a.py", None)


def test_files_that_are_not_there(suite: Path) -> None:
    outside = suite.parent.parent / "test_outside.py"
    outside.write_text(SOURCE)
    (suite.parent / "test_above.py").write_text(SOURCE)
    (suite / "test_a.txt").write_text(SOURCE)
    (suite / "test_link.py").symlink_to("/dev/zero")
    os.mkfifo(suite / "test_fifo.py")
    place = places_here()
    for nodeid in (
        "test_missing.py::test_it",
        "test_fifo.py::test_it",
        "test_link.py::test_it",
        f"{outside}::test_it",
        "../../test_outside.py::test_it",
        "/dev/zero::test_it",
        "\0::test_it",
        "\udc80.py::test_it",
        f"{'x' * 5000}::test_it",
        "::test_it",
    ):
        assert place(nodeid) == Place(nodeid.partition("::")[0], None)
    assert place("test_a.txt::test_it") == Place("sub/test_a.txt", None)
    assert place("../test_above.py::test_it") == Place("test_above.py", 5)


def test_without_a_repository_paths_begin_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_a.py").write_text(SOURCE)
    assert places_here()("test_a.py::test_it[a]") == Place("test_a.py", 5)
