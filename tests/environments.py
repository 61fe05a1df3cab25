"""Virtual environments for suites that need another Python or other packages than the tests themselves."""

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
    """The first of these Python 3 minors that is installed and has ensurepip; otherwise the Python that runs this."""
    for minor in minors:
        for python in versions(f"3.{minor}"):
            probe = [str(python), "-c", "import ensurepip, sys; print(sys.executable)"]
            done = subprocess.run(probe, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout.strip()
    return sys.executable


def versions(version: str) -> list[Path]:
    """The installed Pythons of a version such as 3.8: the one in the PATH first, then those of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    found = shutil.which(f"python{version}")
    return [*([Path(found)] if found else []), *pyenv.glob(f"{version}.*/bin/python")]


def environment_with(python: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment with these packages. A new one is made each week, with the newest versions."""
    key = hashlib.sha256(repr((python, requirements, time.strftime("%Y-%W"))).encode()).hexdigest()[:16]
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "svc-trace-tests" / key
    if not cached.exists():
        building = cached.with_name(f"{key}-{os.getpid()}")
        subprocess.run([python, "-m", "venv", building], check=True)
        pip = (building / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, "install", *requirements], check=True)
        with suppress(OSError):  # another worker has made it in the meantime
            building.rename(cached)
        shutil.rmtree(building, ignore_errors=True)
    return cached / "bin/python"
