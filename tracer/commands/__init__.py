"""The commands, one file each, and the place where all errors are printed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

import click

from tracer.errors import ExitStatus, SvcTraceError

_BY_SIGNAL: Final = 128
"""A shell's exit status for a command that a signal ended is this plus the signal's number."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `svc-trace` with these arguments, or the process's own; returns the exit status.

    Errors that a user can fix are printed in two lines to stderr; all others keep their traceback.
    """
    from tracer.cli import cli  # it loads no command; `cli` is above this package

    try:
        with cli.make_context("svc-trace", list(sys.argv[1:] if arguments is None else arguments)) as context:
            status: int = cli.invoke(context) or 0
        sys.stdout.flush()
    except click.exceptions.Exit as ending:  # --help and --version
        return ending.exit_code
    except click.UsageError as error:
        error.show()
        return ExitStatus.USAGE
    except SvcTraceError as error:
        click.echo(f"svc-trace: error: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _BY_SIGNAL + signal.SIGINT
    except BrokenPipeError:
        # The reader of our stdout is gone. Buffered output is flushed at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BY_SIGNAL + signal.SIGPIPE
    return status
