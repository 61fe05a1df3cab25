"""Where the probes are: their sources, which bcc compiles, and the object, which libbpf loads."""

from __future__ import annotations

from pathlib import Path

from tracer.errors import SvcTraceError, cannot_trace

_OBJECT = "svc_trace.bpf.o"
REINSTALL = "Reinstall svc-trace: pip builds the probes with clang (apt-get install clang llvm libbpf-dev)."


def _locate() -> tuple[Path, Path]:
    """The compiled object, and the directory of sources.

    A checkout, which an editable install uses, has them in its own `build/` and `probes/`; a wheel has copies beside
    this module (scripts/build_probes.py).
    """
    package, checkout = Path(__file__).parent, Path(__file__).parents[4]
    if (checkout / "probes" / "svc_trace.bpf.c").exists():
        return checkout / "build" / _OBJECT, checkout / "probes"
    return package / _OBJECT, package / "probes"


OBJECT, SOURCES = _locate()


def no_probes(missing: Path) -> SvcTraceError:
    """The error of an installation without one of them."""
    return cannot_trace(f"the probes are missing: {missing}", REINSTALL, "no-probes")
