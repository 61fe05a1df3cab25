"""This installation of svc-trace. Imports only the standard library, as bcc's loader does."""

from __future__ import annotations

import sys


def own_command() -> tuple[str, ...]:
    """The words that start svc-trace again, by absolute paths: `/…/bin/svc-trace`, or `/…/python -I -m tracer`."""
    installed = sys._xoptions.get("svc-trace")  # launcher/svc-trace.c: its own path, without links
    return (installed,) if isinstance(installed, str) else (sys.executable, "-I", "-m", "tracer")
