"""Runs the commands of docs/tutorial.md and docs/reading.md, and compares what they print with what the pages show."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "pictures" / "summary.svg"
VARIABLE = (
    (r"\b\d+(\.\d+)? (ms|s)\b|\bin \d+\.\d+s\b", "TIME"),
    (r"(127\.0\.0\.1:|PGSQL\.)\d+", r"\1PORT"),
    (r", which the test woke,", ""),  # unsure on a busy machine
    (r": .*\d+ bytes;", ": AMOUNTS;"),  # librdkafka connects to as many brokers as it likes
    (r"Refused: \d+ services", "Refused: N services"),
)
"""What differs from run to run: a regular expression, and what stands for it."""

pytestmark = pytest.mark.kernel


def stable(text: str) -> str:
    """Printed text without what differs from run to run."""
    for pattern, replacement in VARIABLE:
        text = re.sub(pattern, replacement, text)
    return text


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Language and text of each block that is code."""
    text = (ROOT / "docs" / page).read_text()
    yield from re.findall(r"^```([a-z]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what the page shows that it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def prints(shown: str) -> re.Pattern[str]:
    """What matches printed text that is as shown; a line `…` stands for any lines."""
    lines = stable(shown).splitlines(keepends=True)
    return re.compile("".join(r"(?:.*\n)*?" if line == "…\n" else re.escape(line) for line in lines))


def picture() -> str:
    """What the picture of a terminal shows, without the command. rich draws each piece at its column, 12.2 wide."""
    lines: dict[int, str] = {}
    pieces = re.findall(r'<text [^>]*x="([\d.]+)"[^>]*-line-(\d+)\)">(.*?)</text>', PICTURE.read_text())
    for x, number, text in pieces:
        before = lines.get(int(number), "").ljust(round(float(x) / 12.2))
        lines[int(number)] = before + html.unescape(text).replace("\xa0", " ")
    return "".join(f"{lines.get(number, '').rstrip()}\n" for number in range(1, max(lines) + 1))


@pytest.fixture
def run(shop_services: dict[str, str], tmp_path: Path, require: Callable[[str], None]) -> Callable[[str], str]:
    """`run(command)` runs it in a copy of the example suite, and returns what it prints. It has to succeed."""
    require("bpf")
    without = shutil.ignore_patterns("svc-trace*", ".svc-trace*", "__pycache__")
    shutil.copytree(ROOT / "examples" / "shop", tmp_path / "shop", ignore=without)
    (tmp_path / "shop" / ".git").mkdir()  # no configuration above it counts
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | shop_services | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(command: str) -> str:
        shell = ["bash", "-o", "pipefail", "-c", f"exec 2>&1; {command}"]
        done = subprocess.run(
            shell, cwd=tmp_path / "shop", env=environment, stdout=subprocess.PIPE, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_the_tutorial_shows_what_its_commands_print(run: Callable[[str], str], tmp_path: Path) -> None:
    """A block of TOML replaces the table of the same name."""
    configuration = tmp_path / "shop" / "pyproject.toml"
    for language, block in blocks("tutorial.md"):
        for command, shown in commands(block):
            printed = run(command)
            assert prints(shown).fullmatch(stable(printed)), f"{command}\n{printed}"
        if language == "toml":
            before = configuration.read_text()
            header, _, _ = block.partition("\n")
            (old,) = re.findall(rf"^{re.escape(header)}\n(?:.+\n)*", before, re.MULTILINE)
            configuration.write_text(before.replace(old, block))


def test_the_lines_that_are_explained_and_drawn_are_printed(run: Callable[[str], str]) -> None:
    """A block of text consists of lines that the first command prints, one after the other."""
    summary = ""
    for language, block in blocks("reading.md"):
        for command, shown in commands(block):
            printed = run(command)
            assert prints(shown).fullmatch(stable(printed)), f"{command}\n{printed}"
            summary = summary or stable(printed)
        if language == "text":
            assert re.search("(?:.*\n)*".join(map(re.escape, stable(block).splitlines(keepends=True))), summary), block
    assert prints(picture()).fullmatch(summary), picture()
