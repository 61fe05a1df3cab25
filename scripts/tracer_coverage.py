"""Measures which lines of tracer/ the tests execute. Run by scripts/test: `start DIR`, the tests, `stop`, `report DIR`.

What is measured:

* the processes of the tests, xdist's workers too: tests/measured.py, which tests/conftest.py imports first;
* each svc-trace that a test starts with the Python of this virtual environment (`svc-trace`, `python -m tracer`), as
  any user. For that `start` writes a `.pth` file into the environment, which begins the measurement before the first
  import. An isolated Python (tracer/__main__.py) reads such files too.

The commands that svc-trace traces are not measured, and they inherit no environment variable and no descriptor. So
svc-trace's pytest plugin is measured only where a unit test calls it. Also not measured: other installations of
svc-trace (of the users that tests create, of a built wheel, of a virtual machine), and a svc-trace that a signal kills.
"""

from __future__ import annotations

import atexit
import os
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LEAST_COVERED: Final = 10
_DIRECTORY_FILE: Final = Path(sys.prefix, "tracer-coverage")
"""Has the path of the directory for the data files. It exists between `start` and `stop`."""
_PTH_FILE: Final = Path(sysconfig.get_path("purelib"), "tracer-coverage.pth")
_PTH_LINE: Final = (
    f"import sys; scripts = {str(ROOT / 'scripts')!r}; "
    "sys.flags.isolated and ' -m tracer' in ' '.join(sys.orig_argv[:7]) and "
    "(sys.path.insert(0, scripts), __import__('tracer_coverage').measure(), sys.path.remove(scripts))\n"
)
"""Each start of this Python executes this line: https://docs.python.org/3/library/site.html."""


def measure() -> Callable[[], None]:
    """Measure this process from now on, if `start` asked for it; otherwise do nothing.

    Returns a function that ends the measurement and writes a data file. It is also called when the process exits.
    """
    try:
        directory = _DIRECTORY_FILE.read_text()
    except FileNotFoundError:
        return lambda: None
    try:
        from coverage import Coverage
    except FileNotFoundError:  # the working directory was removed, which the import looks up
        return lambda: None

    measurement = Coverage(
        data_file=f"{directory}/data",
        data_suffix=True,  # one file for each process
        config_file=str(ROOT / "pyproject.toml"),
        source_dirs=[str(ROOT / "tracer")],
    )
    if sys.version_info >= (3, 12):
        measurement.set_option("run:core", "sysmon")  # faster than a trace function
    measurement.start()
    process, finished = os.getpid(), False

    def finish() -> None:
        nonlocal finished
        if not finished and os.getpid() == process:  # a forked child has its parent's data
            finished = True
            with suppress(Exception):  # a test may make the directory unreachable or use up the descriptors
                measurement.stop()
                measurement.save()

    atexit.register(finish)
    return finish


def start(directory: Path) -> None:
    """Let processes that call `measure` write data files to a directory. Any user may write there."""
    directory.chmod(0o1777)
    _DIRECTORY_FILE.write_text(str(directory))
    _PTH_FILE.write_text(_PTH_LINE)


def stop() -> None:
    """Measure processes that begin later no more."""
    _PTH_FILE.unlink(missing_ok=True)
    _DIRECTORY_FILE.unlink(missing_ok=True)


def report(directory: Path) -> None:
    """Print the least covered modules and the total."""
    from coverage import Coverage

    coverage = Coverage(data_file=str(directory / "data"), config_file=str(ROOT / "pyproject.toml"))
    coverage.combine([str(directory)])
    modules: list[tuple[float, int, int, str]] = []  # share of the lines that ran, lines that ran, lines, path
    for path in coverage.get_data().measured_files():
        if not path.endswith(".py"):  # a template: Jinja compiles it to Python, under the template's name
            continue
        _, lines, _, missing, _ = coverage.analysis2(path)
        if lines:
            covered = len(lines) - len(missing)
            modules.append((covered / len(lines), covered, len(lines), os.path.relpath(path, ROOT)))
    for share, covered, total, name in sorted(modules)[:LEAST_COVERED]:
        print(f"{share:7.1%} {covered:6,} of {total:6,} lines  {name}")
    covered, total = sum(module[1] for module in modules), sum(module[2] for module in modules)
    print(f"{covered / total:7.1%} {covered:6,} of {total:6,} lines  all {len(modules)} modules of tracer/")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start", directory]:
            start(Path(directory))
        case ["stop"]:
            stop()
        case ["report", directory]:
            report(Path(directory))
        case _:
            sys.exit(__doc__)
