"""Where cgroup v2 is (cgroups(7)), and where in it this process is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tracer.record.refusal.mounting import detached_cgroup2

_MOUNTS: Final = Path("/proc/self/mountinfo")
_OWN: Final = Path("/proc/self/cgroup")
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


class Hierarchy(NamedTuple):
    """A mount of cgroup v2."""

    root: Path  # the mount's
    own: Path  # the directory of this process's cgroup; the root if it is not below


def hierarchies() -> Iterator[Hierarchy]:
    """The mounts that are visible and can be written, then one of this process's own, which is gone with the iterator.

    The own one comes last: on a host, a further mount resets options of the whole hierarchy, such as `nsdelegate`.

    Raises:
        OSError: another mount is not permitted, or the kernel has no cgroup v2.
    """
    own = own_cgroup(_OWN.read_text())
    yield from (Hierarchy(root, _below(root, within, own)) for root, within in mounts(_MOUNTS.read_text()))
    descriptor = detached_cgroup2()
    try:
        root = Path(f"/proc/self/fd/{descriptor}")
        yield Hierarchy(root, _below(root, "/", own))
    finally:
        os.close(descriptor)


def mounts(text: str) -> Iterator[tuple[Path, str]]:
    """The writable mounts of cgroup v2 in /proc/PID/mountinfo: where, and which cgroup is their root."""
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        _, _, _, within, where, options, *_ = fields.split(" ")
        kind, _, super_options = rest.split(" ", 2)
        if kind == "cgroup2" and "ro" not in (*options.split(","), *super_options.split(",")):
            yield Path(_unescaped(where)), _unescaped(within)


def own_cgroup(text: str) -> str:
    """The path of the process's cgroup in /proc/PID/cgroup, as its cgroup namespace shows it; `/` if there is none."""
    return next((line.removeprefix("0::") for line in text.splitlines() if line.startswith("0::")), "/")


def _below(root: Path, within: str, own: str) -> Path:
    """The directory of the cgroup `own`, where `root` is that of the cgroup `within`; `root` if it is not below."""
    prefix = within.rstrip("/")
    if own != within and not own.startswith(f"{prefix}/"):
        return root
    found = root / own[len(prefix) :].lstrip("/")
    return found if ".." not in found.parts and found.is_dir() else root


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
