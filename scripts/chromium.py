"""Chromium, for the tests, pictures and figures of pages.

    .venv/bin/python scripts/chromium.py     prints the program; exit status 1 if there is none

It is a package of the system, Google Chrome, or Playwright's own in .venv: the first that exists.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from sysconfig import get_path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

_NAMES: Final = ("chromium-headless-shell", "chromium", "google-chrome")
_PLAYWRIGHTS: Final = "playwright/driver/package/.local-browsers/**/*headless?shell"
"""Below the directory of packages: where Playwright installs its own with PLAYWRIGHT_BROWSERS_PATH=0."""


def program() -> Path | None:
    """The program; None: there is none. Ubuntu's is a snap, which cannot read the files of tests."""
    found = (Path(path) for name in _NAMES if (path := shutil.which(name)) is not None)
    usable = (path for path in found if path.resolve().name != "snap")
    return next(chain(usable, Path(get_path("purelib")).glob(_PLAYWRIGHTS)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, without its sandbox, which root cannot have. It ends with the context."""
    if (path := program()) is None:
        raise FileNotFoundError("there is no Chromium. Run scripts/setup tests, or install Google Chrome.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


if __name__ == "__main__":
    if (found := program()) is None:
        sys.exit(1)
    print(found)
