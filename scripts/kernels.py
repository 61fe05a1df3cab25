"""Stock Debian kernels, fetched by apt and unpacked, not installed: what the virtual machines of scripts/vm boot."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEPT: Final = Path("/var/cache/svc-trace/kernels")
_ARCHITECTURE: Final = "amd64"


class KernelError(Exception):
    """There is no such kernel to be had; says what to do."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's unpacked packages."""

    release: str  # as uname has it
    folder: Path

    @property
    def image(self) -> Path:
        """What boots."""
        return self.folder / "boot" / f"vmlinuz-{self.release}"

    def module(self, name: str) -> Path | None:
        """A module's file, maybe compressed; None if there is none: it is built in."""
        return next((self.folder / "lib/modules" / self.release).rglob(f"{name}.ko*"), None)


def stock_kernel(series: str) -> Kernel:
    """The newest kernel of a series (`6.1`) that apt has, fetched if it is not kept yet.

    Raises:
        KernelError: apt has none, or can't fetch it.
    """
    release = _newest(series)
    if release is None or not (KEPT / release).exists():
        _run("apt-get", "-qq", "update")  # an older list may name a release that is gone
        release = _newest(series)
    if release is None:
        raise KernelError(
            f"apt knows no linux-image-{series}.*-{_ARCHITECTURE}. Debian 12 has 6.1, and 6.12 in its backports: add\n"
            "    deb http://deb.debian.org/debian bookworm main\n"
            "    deb http://deb.debian.org/debian bookworm-backports main\n"
            "to /etc/apt/sources.list.d/kernels.list (on Ubuntu with [signed-by=/usr/share/keyrings/"
            "debian-archive-keyring.gpg] after deb, from the package debian-archive-keyring)"
        )
    kernel = Kernel(release, KEPT / release)
    if not kernel.folder.exists():
        _fetch(kernel)
    return kernel


def _newest(series: str) -> str | None:
    pattern = rf"^linux-image-{re.escape(series)}\..*-{_ARCHITECTURE}$"
    found = _run("apt-cache", "search", "--names-only", pattern).splitlines()
    return newest(series, (line.split()[0] for line in found))


def newest(series: str, packages: Iterable[str]) -> str | None:
    """The release that has the highest numbers, of those that are neither for a cloud nor for real time."""
    wanted = re.compile(rf"linux-image-({re.escape(series)}\.[0-9.]+(?:-[0-9]+|\+[a-z0-9]+)-{_ARCHITECTURE})")
    releases = [match[1] for match in map(wanted.fullmatch, packages) if match]
    return max(releases, key=lambda release: [int(number) for number in re.findall(r"\d+", release)], default=None)


def _fetch(kernel: Kernel) -> None:
    """Image, modules and headers; the latter where bcc looks for them."""
    KEPT.mkdir(parents=True, exist_ok=True)
    common = f"{kernel.release.removesuffix(f'-{_ARCHITECTURE}')}-common"
    packages = [f"linux-image-{kernel.release}", f"linux-headers-{kernel.release}", f"linux-headers-{common}"]
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=KEPT) as name:
        fetched, unpacked = Path(name), Path(name, "unpacked")
        fetched.chmod(0o777)  # apt downloads as a user of its own
        _run("apt-get", "-qq", "download", *packages, cwd=fetched)
        for package in fetched.glob("*.deb"):
            _run("dpkg", "-x", str(package), str(unpacked))
        modules = unpacked / "lib/modules" / kernel.release
        for link, headers in (("build", kernel.release), ("source", common)):
            (modules / link).unlink(missing_ok=True)
            (modules / link).symlink_to(kernel.folder / "usr/src" / f"linux-headers-{headers}")
        _run("busybox", "depmod", "-b", str(unpacked), kernel.release)
        unpacked.rename(kernel.folder)


def _run(*command: str, cwd: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KernelError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout
