"""The man pages have each command and option, and the tools that show and check man pages find nothing wrong."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import click
import manual
import pytest

from tracer.cli import COMMANDS, cli


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("man")
    manual.main(directory)
    return directory


def shown(page: Path) -> str:
    """The page on a terminal of 200 columns, as plain text. A warning is an error."""
    environment = os.environ | {"MANWIDTH": "200", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8"}
    command: list[str | Path] = ["man", "--warnings", "--encoding=UTF-8", "--local-file", page]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


def test_there_is_a_page_for_each_command(pages: Path) -> None:
    names = {"svc-trace", *(f"svc-trace-{name}" for name in COMMANDS)}
    assert {path.name for path in pages.iterdir()} == {f"{name}.1" for name in names}
    main = shown(pages / "svc-trace.1")
    assert all(f"svc-trace-{name}(1)" in main for name in COMMANDS)
    assert all(option in main for option in ("--help", "--version", "--verbose"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_each_option_of_its_command(name: str, pages: Path) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    text = shown(pages / f"svc-trace-{name}.1")
    assert set(re.findall(r"(?<![\w-])--?[a-z0][a-z-]*", text)) >= options
    assert re.search(rf"^NAME\n +svc-trace-{name} - [a-z]", text, re.MULTILINE)


def test_the_pages_are_correct_roff(pages: Path) -> None:
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", *pages.iterdir()], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
