"""Shell completion as docs/commands.md sets it up, in the real shells."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
LINES = dict(re.findall(r"^(.*_SVC_TRACE_COMPLETE=(?:\w+)_source svc-trace.*?) +# ~/\.(?:config/)?(\w+)", PAGE, re.M))
SET_UP = {name.removesuffix("rc"): line for line, name in LINES.items()}
PROMPT = "READY> "
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PS1": PROMPT,
}


class Terminal:
    """An interactive shell in a terminal of its own."""

    def __init__(self, *shell: str, directory: Path) -> None:
        self._own, other = pty.openpty()
        self._process = subprocess.Popen(
            shell,
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=directory,
            env=ENVIRONMENT | {"HOME": str(directory)},
            start_new_session=True,
        )
        os.close(other)
        self._unread = b""
        self.read_to(PROMPT)

    def type(self, keys: str, answer: str) -> str:
        """Type keys, and return what is printed before the answer."""
        os.write(self._own, keys.encode())
        return self.read_to(answer)

    def read_to(self, end: str) -> str:
        while end.encode() not in self._unread:
            self._unread += os.read(self._own, 4096)
        printed, _, self._unread = self._unread.partition(end.encode())
        return printed.decode()

    def close(self) -> None:
        os.write(self._own, b"\nexit\n")
        try:
            while os.read(self._own, 4096):
                pass
        except OSError:  # EIO: the shell has closed the terminal
            os.close(self._own)
        self._process.wait()


def test_the_page_has_a_line_for_each_shell() -> None:
    assert [*SET_UP] == ["bash", "zsh", "fish"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("shell", "before"),
    [(("bash", "--norc", "--noprofile", "-i"), ":"), (("zsh", "-f", "-i"), "autoload -Uz compinit; compinit -u")],
    ids=["bash", "zsh"],
)
def test_the_tab_key_completes_commands_options_values_and_paths(
    shell: tuple[str, ...], before: str, tmp_path: Path
) -> None:
    (tmp_path / "report-of-today.json").touch()
    terminal = Terminal(*shell, directory=tmp_path)
    terminal.type(f"{before}; {SET_UP[shell[0]]}; echo set''up\n", "\r\nsetup")
    terminal.read_to(PROMPT)
    for typed, completed in (
        ("valid\t", "validate"),
        ("--backe\tlibb\t-- tr", "--backend libbpf -- tr"),
        ("explain report-of\t", "explain report-of-today.json"),
        ("--sudo pytest report-of\t", "--sudo pytest report-of-today.json"),
    ):
        # Control-A goes to the beginning and Control-E to the end of the line, which is printed in place of executed.
        terminal.type(f"svc-trace {typed}\x01echo '\x05'\n", f"\r\nsvc-trace {completed}")
        terminal.read_to(PROMPT)
    terminal.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("valid", {"validate"}),
        ("--sud", {"--sudo"}),
        ("report --form", {"--format"}),
        ("run --backend lib", {"libbpf"}),
    ],
)
def test_fish_completes_them_too(typed: str, completed: set[str], tmp_path: Path) -> None:
    program = f'{SET_UP["fish"]}; complete -C "svc-trace {typed}"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        env=ENVIRONMENT | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == completed
