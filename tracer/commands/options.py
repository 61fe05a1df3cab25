"""Options that several commands share, as decorators. `run` imports them before the traced command begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tracer.errors import ExitStatus

if TYPE_CHECKING:
    from tracer.classify.findings import Finding

FAIL_ON: Final[Mapping[str, ExitStatus]] = {
    "loss": ExitStatus.INCOMPLETE,
    "blind-spots": ExitStatus.BLIND_SPOTS,
    "contracts": ExitStatus.CONTRACT_BROKEN,
    "over-assumed": ExitStatus.OVER_ASSUMED,
    "unknown": ExitStatus.UNKNOWN_ENDPOINT,
}
"""Kind of finding → exit status. If several kinds occur, the first in this list sets the exit status."""


def output_option(*names: str, help: str, **others: Any) -> Callable[[Any], Any]:  # noqa: ANN401 -- as click's own
    """An option that names a file to be written."""
    return click.option(*names, type=click.Path(path_type=Path, dir_okay=False), help=help, **others)


def config_option(function: Any) -> Any:  # noqa: ANN401
    """`--config PATH`."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="The configuration. Default: svc-trace.toml or pyproject.toml, here or in a parent directory.",
    )(function)


def tests_options(function: Any) -> Any:  # noqa: ANN401
    """`--tests` and `--service NAME`, combined in `listed`: services, empty for all; None without `--tests`."""
    tests = click.option("--tests", is_flag=True, help="List the tests of each service before the summary.")
    service = click.option(
        "--service",
        "services",
        multiple=True,
        metavar="NAME",
        help="With --tests: list the tests of this service only; may be repeated.",
    )
    return tests(service(function))


def listed_services(tests: bool, services: tuple[str, ...]) -> tuple[str, ...] | None:
    """The services whose tests are listed, empty: each service; None: no tests are listed.

    Raises:
        click.UsageError: `--service` without `--tests`.
    """
    if services and not tests:
        raise click.UsageError("--service needs --tests.")
    return services if tests else None


def fail_on_options(function: Any) -> Any:  # noqa: ANN401
    """`--fail-on KINDS`, a tuple of keys of `FAIL_ON`, and `--baseline FILE`, given as `accepted` findings or None."""
    fail_on = click.option(
        "--fail-on",
        metavar="KINDS",
        default="",
        callback=_kinds,
        help=f"Fail with a separate exit status if there are findings of these kinds: {', '.join(FAIL_ON)}.",
    )
    baseline = click.option(
        "--baseline",
        "accepted",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_read_baseline,
        help="Accepted findings, as `svc-trace validate --write-baseline` writes them.",
    )
    return fail_on(baseline(function))


def _kinds(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in value.split(",")) if value else ()
    if wrong := [kind for kind in kinds if kind not in FAIL_ON]:
        raise click.BadParameter(f"{wrong[0]!r} is not one of {', '.join(FAIL_ON)}", context, parameter)
    return kinds


def _read_baseline(context: click.Context, parameter: click.Parameter, file: Path | None) -> frozenset[Finding] | None:
    if file is None:
        return None
    from tracer.reports.baseline import read_baseline

    return read_baseline(file)
