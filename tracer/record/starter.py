"""`python starter.py FD STDERR`: execute the command, for a wrapper such as strace.

The command gets its own standard error, environment and signals. The wrapper writes to another standard error.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys

CANNOT_TRACE = 69  # of tracer.errors.ExitStatus: nothing of svc-trace can be imported here


def main(memory: int, stderr: int) -> None:
    """Execute the program, arguments and environment in the file `memory`; ends the process if that fails."""
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
