"""The commands, one file each, and the one place where errors end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

import click

from tracer.errors import ExitStatus, SvcTraceError

_BY_SIGNAL: Final = 128
"""What a shell adds to the number of the signal that ended a command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `svc-trace` with these arguments, or the process's own; returns the exit status.

    Errors that a user can act on are two lines on stderr; all others keep their traceback.
    """
    from tracer.cli import cli  # loads no command; `cli` stands above this package

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
        # Nobody reads what we print. What is still buffered is flushed at exit, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BY_SIGNAL + signal.SIGPIPE
    return status
