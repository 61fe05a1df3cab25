"""The run's own directory: the FIFO, the hook's copy, the trace while it is written."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PLUGIN: Final = "svc_trace_hook"
_HOOK: Final = Path(__file__).parent / "boundary" / _PLUGIN
_PREFIX: Final = "svc-trace-"
_NAME: Final = re.compile(rf"\.?{_PREFIX}[a-z0-9_]{{8}}")  # as mkdtemp makes them
_DISTRIBUTION: Final = Path("plugins", f"{_PLUGIN}-1.dist-info")  # exists only once the run's directory is locked
_METADATA: Final = {
    "METADATA": f"Metadata-Version: 2.1\nName: {_PLUGIN}\nVersion: 1\n",
    "entry_points.txt": f"[pytest11]\n{_PLUGIN} = {_PLUGIN}\n",
    "RECORD": "".join(f"{_DISTRIBUTION.name}/{name},,\n" for name in ("METADATA", "entry_points.txt", "RECORD")),
}
"""As if the hook were installed (entry_points.txt, RECORD: packaging.python.org): pytest loads such plugins by itself.
RECORD does not list the modules, because pytest rewrites the assertions of those that it lists."""
_PACKAGE: Final = Path("plugins", _PLUGIN)


class RunDirectory:
    """A directory for one run, readable by its owner only, and removed after the run.

    Its tracer holds a lock on it (flock(2)). A directory without a lock belongs to a tracer that was killed; the next
    run removes it.
    """

    def __init__(self) -> None:
        base = Path(tempfile.gettempdir())
        _remove_leftovers(base)
        hidden = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=base))
        self._lock = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        (hidden / _DISTRIBUTION).mkdir(parents=True)
        for name, text in _METADATA.items():
            (hidden / _DISTRIBUTION / name).write_text(text)
        (hidden / _PACKAGE).mkdir()
        for module in _HOOK.glob("*.py"):
            shutil.copyfile(module, hidden / _PACKAGE / module.name)
        self.path = hidden.rename(hidden.with_name(hidden.name[1:]))
        self.fifo = self.path / "boundaries"

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
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _prepend(first: str, rest: str | None, separator: str) -> str:
    return f"{first}{separator}{rest}" if rest else first


def _remove_leftovers(base: Path) -> None:
    """Remove the directories of runs whose tracer was killed: by name, content and owner ours, and not locked."""
    for path in base.iterdir():
        if not _NAME.fullmatch(path.name):
            continue
        try:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's, or gone
        try:
            if os.fstat(directory).st_uid == os.geteuid() and (path / _DISTRIBUTION).is_dir():
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # a run is using it
        finally:
            os.close(directory)
