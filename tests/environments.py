"""Environments of their own for suites that need another Python or other packages than the tests' own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

MINORS: Final = range(8, 15)
"""Minor versions of Python 3 whose pytest can be traced."""
OLDEST: Final = (
    "pytest==7.0.*",
    "pluggy==1.0.*",  # it has no new-style wrappers; pip would choose a version that has
    "pytest-forked==1.4.*",
    "pytest-rerunfailures==10.*",
    "pytest-subtests==0.11.*",
)
"""The oldest supported pytest, with the plugins that its suites load."""


def interpreter(minors: Iterable[int]) -> str:
    """The first of these Pythons that runs here and can make environments; else the one that runs this."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    for minor in minors:
        for python in (shutil.which(f"python3.{minor}"), *pyenv.glob(f"3.{minor}.*/bin/python")):
            if python is not None:
                probe = [python, "-c", "import ensurepip, sys; print(sys.executable)"]
                answer = subprocess.run(probe, capture_output=True, text=True, check=False)
                if answer.returncode == 0:
                    return answer.stdout.strip()
    return sys.executable


def environment_with(python: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment, kept for a week, so that the newest stays new."""
    key = hashlib.sha256(repr((python, requirements, time.strftime("%Y-%W"))).encode()).hexdigest()[:16]
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "svc-trace-tests" / key
    if not kept.exists():
        making = kept.with_name(f"{key}-{os.getpid()}")
        subprocess.run([python, "-m", "venv", making], check=True)
        pip = (making / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, "install", *requirements], check=True)
        with suppress(OSError):  # another worker was faster
            making.rename(kept)
        shutil.rmtree(making, ignore_errors=True)
    return kept / "bin/python"
