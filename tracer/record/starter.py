"""`python starter.py FD STDERR`: become the command.

What has to stand before the command, such as strace, executes this instead: it gives the command back the standard
error that the other must not write to, and an environment and signals that neither has touched.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys

CANNOT_TRACE = 69  # of tracer.errors.ExitStatus: nothing of svc-trace can be imported here


def main(memory: int, stderr: int) -> None:
    """Execute what the file `memory` says; ends the process if it can't."""
    try:
        with open(memory, "rb") as file:
            program, arguments, environment = marshal.load(file)
        os.dup2(stderr, 2)
        os.close(stderr)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; the command should not
            signal.signal(number, signal.SIG_DFL)
        os.execve(program, arguments, environment)
    finally:
        os._exit(CANNOT_TRACE)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
