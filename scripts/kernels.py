"""Stock Debian kernels for the virtual machines of scripts/vm: downloaded by apt and unpacked, not installed."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CACHE: Final = Path("/var/cache/svc-trace/kernels")
_ARCHITECTURE: Final = "amd64"


class KernelError(Exception):
    """The kernel is not available. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's unpacked packages."""

    release: str  # as `uname -r` prints it
    directory: Path

    @property
    def image(self) -> Path:
        """The image that boots."""
        return self.directory / "boot" / f"vmlinuz-{self.release}"

    def module(self, name: str) -> Path | None:
        """The file of a module, which may be compressed; None if the module is built in."""
        return next((self.directory / "lib/modules" / self.release).rglob(f"{name}.ko*"), None)


def stock_kernel(series: str) -> Kernel:
    """The newest kernel of a series (`6.1`) that apt knows. It is downloaded if it is not in the cache.

    Raises:
        KernelError: apt knows no such kernel or cannot download it.
    """
    release = _newest(series)
    if release is None or not (CACHE / release).exists():
        _run("apt-get", "-qq", "update")  # an old list may name a release that was removed
        release = _newest(series)
    if release is None:
        raise KernelError(
            f"apt knows no linux-image-{series}.*-{_ARCHITECTURE}. Debian 12 has 6.1, and 6.12 in its backports: add\n"
            "    deb http://deb.debian.org/debian bookworm main\n"
            "    deb http://deb.debian.org/debian bookworm-backports main\n"
            "to /etc/apt/sources.list.d/kernels.list (on Ubuntu with [signed-by=/usr/share/keyrings/"
            "debian-archive-keyring.gpg] after deb, from the package debian-archive-keyring)"
        )
    kernel = Kernel(release, CACHE / release)
    if not kernel.directory.exists():
        _download(kernel)
    return kernel


def _newest(series: str) -> str | None:
    pattern = rf"^linux-image-{re.escape(series)}\..*-{_ARCHITECTURE}$"
    lines = _run("apt-cache", "search", "--names-only", pattern).splitlines()
    return newest(series, (line.split()[0] for line in lines))


def newest(series: str, packages: Iterable[str]) -> str | None:
    """The release with the highest version. Kernels for clouds and for real time do not count."""
    wanted = re.compile(rf"linux-image-({re.escape(series)}\.[0-9.]+(?:-[0-9]+|\+[a-z0-9]+)-{_ARCHITECTURE})")
    releases = [match[1] for match in map(wanted.fullmatch, packages) if match]
    return max(releases, key=lambda release: [int(number) for number in re.findall(r"\d+", release)], default=None)


def _download(kernel: Kernel) -> None:
    """Download and unpack image, modules and headers, and link the headers where bcc expects them."""
    CACHE.mkdir(parents=True, exist_ok=True)
    common = f"{kernel.release.removesuffix(f'-{_ARCHITECTURE}')}-common"
    packages = [f"linux-image-{kernel.release}", f"linux-headers-{kernel.release}", f"linux-headers-{common}"]
    with tempfile.TemporaryDirectory(prefix=".downloading-", dir=CACHE) as name:
        packed, unpacked = Path(name), Path(name, "unpacked")
        packed.chmod(0o777)  # apt downloads as its own user
        _run("apt-get", "-qq", "download", *packages, cwd=packed)
        for package in packed.glob("*.deb"):
            _run("dpkg", "-x", str(package), str(unpacked))
        modules = unpacked / "lib/modules" / kernel.release
        for link, headers in (("build", kernel.release), ("source", common)):
            (modules / link).unlink(missing_ok=True)
            (modules / link).symlink_to(kernel.directory / "usr/src" / f"linux-headers-{headers}")
        _run("busybox", "depmod", "-b", str(unpacked), kernel.release)
        unpacked.rename(kernel.directory)


def _run(*command: str, cwd: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KernelError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout
