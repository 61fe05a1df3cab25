"""The imports of conftest files, with their spans, and the directories whose tests need them. PYTEST_DONT_REWRITE

What such an import runs may be in a module that others import, too: it is run by the first of them only. So the
directory is the nearest one that contains the conftest and all modules which its import loaded, except installed ones
and empty packages.
"""

from __future__ import annotations

import os
import sys
from posix import stat
from types import ModuleType
from typing import Any, Iterator, NamedTuple

import pytest

from .channel import CLOSE, Channel, dumps

OPEN_CONFTEST = '["open",%d,%d,"conftest","."]'
ROOT = "."  # pytest's rootdir: the directory of all tests
INSTALLED = ("/site-packages/", "/dist-packages/")
STANDARD_LIBRARY = os.path.dirname(os.__file__) + "/"  # noqa: PTH120 -- pathlib may be replaced
PACKAGE = "/__init__.py"


class Import(NamedTuple):
    """An import that has begun."""

    span: int
    file: str
    modules: frozenset[str]  # names of those that were loaded before


class Conftests:
    """Wraps the function with which pytest imports conftest files: there is no hook before an import."""

    def __init__(self, channel: Channel, config: pytest.Config) -> None:
        self.channel, self.safely = channel, channel.safely
        self.root = str(config.rootpath).rstrip("/") + "/"
        self.manager: Any = config.pluginmanager
        self.wrapped: Any = getattr(self.manager, "_importconftest", None)
        if self.wrapped is not None:  # it is not public: a later pytest may lack it
            vars(self.manager)["_importconftest"] = self.import_conftest

    def import_conftest(self, *args: Any, **kwargs: Any) -> Any:
        """Import a conftest, unless it is imported already."""
        started = self.safely(self._open, *args[:1])
        try:
            return self.wrapped(*args, **kwargs)
        finally:
            if started is not None:
                self.safely(self._close, started)

    def _open(self, path: Any = "") -> Import | None:
        if self.manager.has_plugin(str(path)):  # pytest asks again for each directory
            return None
        started = Import(next(self.channel.ids), str(path), frozenset(list(sys.modules)))
        self.channel.send(OPEN_CONFTEST % (started.span, self.channel.clock()))
        return started

    def _close(self, started: Import) -> None:
        ns = self.channel.clock()
        self.channel.queue(dumps(["below", started.span, self._directory(started)]))
        self.channel.send(CLOSE % (started.span, ns))

    def _directory(self, started: Import) -> str:
        """The directory whose tests need the import, relative to the rootdir."""
        files = [started.file, *_loaded(started.modules)]
        if not all(file.startswith(self.root) for file in files):
            return ROOT
        directories = [file[len(self.root) :].split("/")[:-1] for file in files]
        shortest, longest = min(directories), max(directories)  # what these two share, all others share, too
        shared = 0
        while shared < min(len(shortest), len(longest)) and shortest[shared] == longest[shared]:
            shared += 1
        return "/".join(shortest[:shared]) or ROOT


def _loaded(before: frozenset[str]) -> Iterator[str]:
    """The files of modules that are new. No code of the modules runs, even if they load when they are used."""
    for name, module in list(sys.modules.items()):
        if name in before or not isinstance(module, ModuleType):
            continue
        file = ModuleType.__getattribute__(module, "__dict__").get("__file__")
        if not isinstance(file, str) or file.startswith(STANDARD_LIBRARY):
            continue
        if any(part in file for part in INSTALLED) or (file.endswith(PACKAGE) and _is_empty(file)):
            continue
        yield file


def _is_empty(file: str) -> bool:
    try:
        return stat(file).st_size == 0
    except OSError:  # it is in an archive
        return False
