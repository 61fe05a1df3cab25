"""The run's directory: what killed runs left is removed, and nothing else."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest

from tracer.record.run_directory import RunDirectory


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_goes_with_its_run_and_leaves_other_runs_alone(base: Path) -> None:
    with RunDirectory() as first, RunDirectory() as second:
        assert {path.name for path in base.iterdir()} == {first.path.name, second.path.name}
        assert first.path.stat().st_mode & 0o777 == 0o700
    assert list(base.iterdir()) == []


def test_what_a_killed_run_left_is_removed(base: Path) -> None:
    if (pid := os.fork()) == 0:
        RunDirectory()
        os._exit(0)
    os.waitpid(pid, 0)
    (left,) = base.iterdir()
    with RunDirectory() as directory:
        assert not left.exists()
        assert [path.name for path in base.iterdir()] == [directory.path.name]


@pytest.mark.parametrize("content", [(), ("plugins",), ("plugins", "boundaries", "trace.svctrace.partial")])
def test_an_incomplete_directory_of_a_killed_run_is_removed(content: tuple[str, ...], base: Path) -> None:
    hidden = base / ".svc-trace-abcdefgh"
    hidden.mkdir()
    for name in content:
        (hidden / name).touch()
    with RunDirectory():
        assert not hidden.exists()


def test_a_directory_that_cannot_be_completed_is_removed(base: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            RunDirectory()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(base)
    assert list(base.iterdir()) == []


def test_runs_that_begin_at_once_leave_each_other_alone(base: Path) -> None:
    """Each looks for directories without a lock, also while the others have made theirs and not locked it yet."""

    def begin() -> int:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for _ in range(100):
                    with RunDirectory() as directory:
                        os.close(os.open(directory.path / "file", os.O_CREAT))
                status = 0
            finally:
                os._exit(status)
        return pid

    pids = [begin() for _ in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 4
    assert list(base.iterdir()) == []


def test_damage_is_noticed(base: Path) -> None:
    with RunDirectory() as directory:
        assert not directory.is_damaged()
        shutil.rmtree(directory.path / "plugins")
        assert directory.is_damaged()
        shutil.rmtree(directory.path)
        assert directory.is_damaged()


@pytest.mark.parametrize(
    "name", ["svc-trace-precious", "svc-trace-abcdefgh", "svc-trace-results", ".svc-trace-abcdefgh"]
)
def test_somebody_elses_folder_with_such_a_name_stays(base: Path, name: str) -> None:
    mine = base / name
    mine.mkdir()
    (mine / "results").write_text("precious")
    with RunDirectory():
        pass
    assert (mine / "results").read_text() == "precious"


def test_the_hook_is_named_only_where_installed_plugins_are_not_loaded(base: Path) -> None:
    own = {"PYTHONPATH": "src", "PYTEST_PLUGINS": "pytester", "PIP_EXCLUDE": "pip"}
    with RunDirectory() as directory:
        variables = directory.hook_environment(own)
        assert variables == {
            "PYTHONPATH": f"{directory.path}/plugins:src",
            "SVC_TRACE_FIFO": str(directory.fifo),
            "PIP_EXCLUDE": "svc_trace_hook pip",
        }
        named = directory.hook_environment({**own, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
        assert named == {**variables, "PYTEST_PLUGINS": "svc_trace_hook,pytester"}
