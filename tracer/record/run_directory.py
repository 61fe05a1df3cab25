"""The run's own directory: the FIFO, the hook's copy, the trace while it is written."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from tracer.record.boundary.fifo import OFF

_PLUGIN: Final = "svc_trace_hook"
_HOOK: Final = Path(__file__).parent / "boundary" / _PLUGIN
_PREFIX: Final = "svc-trace-"
_NAME: Final = re.compile(rf"\.?{_PREFIX}[a-z0-9_]{{8}}")  # as mkdtemp makes them
_DISTRIBUTION: Final = Path("plugins", f"{_PLUGIN}-1.dist-info")
_METADATA: Final = {
    "METADATA": f"Metadata-Version: 2.1\nName: {_PLUGIN}\nVersion: 1\n",
    "entry_points.txt": f"[pytest11]\n{_PLUGIN} = {_PLUGIN}\n",
    "RECORD": "".join(f"{_DISTRIBUTION.name}/{name},,\n" for name in ("METADATA", "entry_points.txt", "RECORD")),
}
"""As if the hook were installed (entry_points.txt, RECORD: packaging.python.org): pytest loads such plugins by itself.
RECORD does not list the modules, because pytest rewrites the assertions of those that it lists."""
_PACKAGE: Final = Path("plugins", _PLUGIN)
_TRACE: Final = "trace.svctrace"
_TRIAL: Final = "trial"  # the hook looks for it beside the FIFO
_ENVIRONMENT: Final = "pyvenv.cfg"  # marks a virtual environment: coverage measures no modules in one
_CONTENTS: Final = {
    *("plugins", _ENVIRONMENT, "boundaries", f"boundaries{OFF}"),
    *("strace", "strace-errors", f"{_TRACE}.partial", _TRIAL),
}
"""What can be in a run's directory, unless the command puts something there."""


def hook_files() -> dict[str, bytes]:
    """The files of the hook, as an installed plugin: path in the run's directory → content."""
    return {
        **{str(_DISTRIBUTION / name): text.encode() for name, text in _METADATA.items()},
        _ENVIRONMENT: b"",
        **{str(_PACKAGE / module.name): module.read_bytes() for module in _HOOK.glob("*.py")},
    }


class RunDirectory:
    """A directory for one run, readable by its owner only, and removed after the run.

    Its tracer holds a lock on it (flock(2)). A directory without a lock belongs to a tracer that was killed; the next
    run removes it. Its name begins with a dot while it is incomplete: before it is complete, and while it is removed.

    Raises:
        OSError: it cannot be created. Nothing is left of it.
    """

    def __init__(self) -> None:
        base = Path(tempfile.gettempdir())
        _remove_leftovers(base)
        hidden, self._lock = _make_locked(base)
        try:
            for name, content in hook_files().items():
                (hidden / name).parent.mkdir(parents=True, exist_ok=True)
                (hidden / name).write_bytes(content)
            self.path = hidden.rename(hidden.with_name(hidden.name[1:]))
        except BaseException as error:
            shutil.rmtree(hidden, ignore_errors=True)
            os.close(self._lock)
            if isinstance(error, OSError):  # one of write(2) does not say where
                raise OSError(error.errno, error.strerror, str(base)) from error
            raise
        self.fifo = self.path / "boundaries"
        self.trace = self.path / _TRACE

    def begin_trial(self, tests: Collection[str] | None) -> None:
        """Make it a run of a trial: only these tests, by node id, run (None: all), and no failure ends a session."""
        (self.path / _TRIAL).write_text(json.dumps(None if tests is None else sorted(tests)))

    def is_damaged(self) -> bool:
        """Whether the hook, or all of the directory, was removed: a pytest that started then did not report."""
        return not os.access(self.path / _PACKAGE / "__init__.py", os.R_OK)

    def hook_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables, with their values in `environment` kept, that make every pytest of the tree load the hook.

        On PYTHONPATH the hook is an installed plugin; without that PYTHONPATH, it is not loaded, and breaks nothing.
        PYTEST_PLUGINS is set only if installed plugins are not loaded: it breaks a pytest without that PYTHONPATH.
        PIP_EXCLUDE is the option `--exclude` of `pip list` and `pip freeze`: they do not list the hook.
        """
        variables = {
            "SVC_TRACE_FIFO": str(self.fifo),
            "PYTHONPATH": _prepend(str((self.path / _PACKAGE).parent), environment.get("PYTHONPATH"), os.pathsep),
            "PIP_EXCLUDE": _prepend(_PLUGIN, environment.get("PIP_EXCLUDE"), " "),
        }
        if environment.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
            variables["PYTEST_PLUGINS"] = _prepend(_PLUGIN, environment.get("PYTEST_PLUGINS"), ",")
        return variables

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        _remove(self.path)
        os.close(self._lock)


def _prepend(first: str, rest: str | None, separator: str) -> str:
    return f"{first}{separator}{rest}" if rest else first


def _make_locked(base: Path) -> tuple[Path, int]:
    """Make a hidden directory and lock it; returns its path and the descriptor that holds the lock.

    Another run may find it before it is locked, and remove it; then a new one is made.
    """
    while True:
        hidden = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=base))
        try:
            lock = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        except OSError:
            hidden.rmdir()
            raise
        fcntl.flock(lock, fcntl.LOCK_EX)
        if hidden.exists():
            return hidden, lock
        os.close(lock)


def _remove(path: Path) -> None:
    """Remove a run's directory. It becomes a hidden one first, so that a later run can complete an interrupted removal.

    The command may have removed it already.
    """
    hidden = path if path.name.startswith(".") else path.with_name(f".{path.name}")
    with suppress(OSError):
        path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _remove_leftovers(base: Path) -> None:
    """Remove the directories of runs whose tracer was killed: by name, content and owner ours, and not locked."""
    for name in filter(_NAME.fullmatch, os.listdir(base)):  # noqa: PTH208 -- pathlib takes four times as long
        path = base / name
        try:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's, or gone
        try:
            if os.fstat(directory).st_uid == os.geteuid() and _is_ours(path):
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
        except OSError:
            pass  # a run is using it, or has just removed it
        finally:
            os.close(directory)


def _is_ours(path: Path) -> bool:
    """Whether this is a run's directory by its content. A hidden one may lack any part of it."""
    if path.name.startswith("."):
        return {entry.name for entry in path.iterdir()} <= _CONTENTS
    return (path / _DISTRIBUTION).is_dir()
