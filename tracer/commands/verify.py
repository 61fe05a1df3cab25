"""`svc-trace verify`: which tests need services, by runs with and without them; and whether a tier needs no others."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Final

import click
from click.core import ParameterSource

from tracer.classify.verdicts import compare_trials
from tracer.commands.inputs import read_reports
from tracer.commands.options import OUTPUT, backend_option, config_option, sudo_option
from tracer.commands.output import format_option
from tracer.commands.services import check_services
from tracer.commands.trial import TrialOptions, verify_services, verify_tier
from tracer.record.invoker import Invoker
from tracer.reports import verify_json
from tracer.reports.formats import Format
from tracer.reports.output import write_file
from tracer.reports.pages.verify import VerifyDocument

_OF_RUNS: Final = ("tier", "strict", "used", "sample", "repeat", "keep", "config", "backend")
"""The options that need a CMD."""


class WithRuns(click.Command):
    """A command with reports as arguments, or with a CMD after `--`, which the context's `meta` has as `CMD`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what is before the first `--`."""
        if "--" in args:
            at = args.index("--")
            args, ctx.meta["CMD"] = args[:at], tuple(args[at + 1 :])
        return super().parse_args(ctx, args)


@click.command("verify", cls=WithRuns)
@click.argument("reports", metavar="-- CMD... | REPORT...", nargs=-1)
@click.option("--without", metavar="SERVICE,...", help="Find the tests that need at least one of these services.")
@click.option("--tier", metavar="NAME", help="Check that the tests of this tier need only its services.")
@click.option("--strict", is_flag=True, help="With --tier: refuse all endpoints that no rule names, too.")
@click.option(
    "--against", metavar="REPORT", multiple=True, help="The report of a run with the services; may be repeated."
)
@click.option(
    "--used/--all",
    default=True,
    show_default=True,
    help="Run only the tests that used the services and a sample of the others without them, or run all.",
)
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="With --used: how many other tests to run.",
)
@click.option(
    "--repeat",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Run the tests that failed without the services up to N times more, both ways: some may be flaky.",
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep the reports of the runs here.")
@config_option
@backend_option
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    default="svc-trace-verify.json",
    show_default=True,
    help="Where to write the verdicts; compressed if it ends in .gz.",
)
@sudo_option
@format_option(VerifyDocument)
@click.pass_context
def command(
    context: click.Context,
    reports: tuple[str, ...],
    without: str | None,
    tier: str | None,
    strict: bool,
    against: tuple[str, ...],
    used: bool,
    sample: int,
    repeat: int,
    keep: Path | None,
    config: Path | None,
    backend: str,
    output: Path,
    form: Format,
) -> int:
    """Give each test a verdict: whether it needs services, or only uses them.

    CMD is run with all services, unless --against has a report of such a run, and then without some of them: the kernel
    refuses them to CMD, as if they were stopped.

    REPORTs in place of CMD are those of runs in which the services were stopped. A REPORT is a path, or a quoted
    pattern of reports that are merged first, such as those of a run's shards.
    """
    _check_usage(context, reports)
    invoker: Invoker = context.obj
    services = sorted({name.strip() for name in (without or "").split(",")})
    if reports:
        invoker.become()
        _compare(reports, against, services, output, form)
        return 0
    options = TrialOptions(
        command=context.meta["CMD"],
        against=against,
        sample=sample if used else None,
        repeat=repeat,
        keep=keep,
        config=config,
        backend=backend,
        output=output,
    )
    if tier is not None:
        verify_tier(tier, options, invoker, form, strict=strict)
    else:
        verify_services(services, options, invoker, form)
    return 0


def _compare(
    reports: tuple[str, ...], against: tuple[str, ...], services: list[str], output: Path, form: Format
) -> None:
    """Compare reports of runs that have ended."""
    with_services = [read_reports([one]) for one in against]
    check_services(services, None, with_services[0])
    verification = compare_trials(
        with_services,
        [read_reports([one]) for one in reports],
        services,
        command=with_services[0].run.command,
        generated_at=datetime.now(UTC),
    )
    write_file(output, verify_json.render(verification))
    form.print(VerifyDocument(verification, output), sys.stdout)


def _check_usage(context: click.Context, reports: tuple[str, ...]) -> None:
    """Check that the options and arguments fit together.

    Raises:
        click.UsageError: they do not.
    """
    given = {name for name in context.params if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if len(given & {"without", "tier"}) != 1:
        raise click.UsageError("Give one of --without and --tier.", context)
    if bool(reports) == bool(context.meta.get("CMD")):
        raise click.UsageError("Give either `-- CMD...`, or REPORTs of runs without the services.", context)
    if reports:
        if not Path(reports[0]).exists() and which(reports[0]):
            raise click.UsageError(f"To run {reports[0]!r}, write `--` before it.", context)
        if "against" not in given:
            raise click.UsageError("Without CMD, --against must name a report of a run with the services.", context)
        if wrong := [name for name in _OF_RUNS if name in given]:
            raise click.UsageError(f"--{wrong[0]} needs a CMD.", context)
    if "tier" in given and given & {"used", "sample"}:
        raise click.UsageError("--tier runs all tests of the tier: --used, --all and --sample mean nothing.", context)
    if "strict" in given and "tier" not in given:
        raise click.UsageError("--strict needs --tier.", context)
