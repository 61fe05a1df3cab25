"""Makes docs/pictures/: the summary in a terminal, and the page for browsers, of a run of the example suite.

scripts/pictures calls it, with the addresses of the suite's services in the environment.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from chromium import chromium
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT: Final = Path(__file__).resolve().parents[1]
PICTURES: Final = ROOT / "docs" / "pictures"
COMMAND: Final = "svc-trace --sudo -- pytest -q"
LEFT_OUT: Final = ("Service   How its tests use it", "Assumptions ")
"""The beginnings of the first line that the picture leaves out, and of the next one that it shows."""
WIDTH: Final = 80
"""Columns of the terminal."""


def printed(command: str, directory: Path) -> str:
    """What a command prints on a terminal, with its colours."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TERM": "xterm-256color"}
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        ["bash", "-c", f"stty columns {WIDTH}; exec {command}"],
        cwd=directory,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        pieces = []
        try:
            while piece := os.read(controller, 1 << 16):
                pieces.append(piece)
        except OSError:  # EIO: the last process has closed the terminal
            pass
    os.close(controller)
    if process.returncode:
        sys.exit(f"pictures: {command}: status {process.returncode}")
    return b"".join(pieces).decode().replace("\r\n", "\n")


def draw_terminal(path: Path, text: str) -> None:
    """Draw a terminal, with the fonts of the reader's system: rich's own drawing loads one from the network."""
    lines = Text.from_ansi(text).split("\n")
    first, last = (next(n for n, line in enumerate(lines) if line.plain.startswith(start)) for start in LEFT_OUT)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "dim"), (COMMAND, "bold")))
    for line in (*lines[:first], Text("…\n"), *lines[last:]):
        console.print(line)
    own_fonts = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(path), title="", code_format=own_fonts, unique_id="summary")


def photograph(page: Path) -> None:
    """Take pictures of a page in Chromium, with light and dark colours."""
    with chromium() as browser:
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 1200, "height": 580}, color_scheme=scheme)
            tab = context.new_page()
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]", state="attached")
            tab.screenshot(path=PICTURES / f"page-{scheme}.png")


def main() -> None:
    """Make all pictures, of one run."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        suite = Path(temporary) / "shop"
        shutil.copytree(ROOT / "examples" / "shop", suite, ignore=shutil.ignore_patterns("svc-trace*", ".*"))
        draw_terminal(PICTURES / "summary.svg", printed(COMMAND, suite))
        printed("svc-trace report svc-trace.json --format html -o page.html", suite)
        photograph(suite / "page.html")


if __name__ == "__main__":
    main()
