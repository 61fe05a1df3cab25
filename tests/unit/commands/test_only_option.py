"""`svc-trace run --only`: what is wrong is found before the command begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.commands import main
from tracer.errors import ExitStatus


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "postgrs"], "There is no service 'postgrs'. Did you mean 'postgres'?"),
        (["--only", "postgres,,redis"], "There is no service ''."),
        (["--only", "postgres, system-log"], "There is no service 'system-log'."),
        (["--against", "svc-trace.json"], "--against needs --only."),
        (["--fail-on", "refused"], "--fail-on refused needs --only"),
    ],
)
def test_wrong_usage(
    options: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", *options, "--", "touch", "began"]) == ExitStatus.USAGE
    assert message in capfd.readouterr().err
    assert [*tmp_path.iterdir()] == []
