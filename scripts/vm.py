"""Runs one command in a virtual machine with a stock Debian kernel on this machine's root. Run by scripts/vm.

The guest reads the machine's files over 9p; an overlay in its memory takes what it writes. Its only network interface
is the loopback. It needs no installation and no disk image: to boot and to power off takes less than ten seconds.
"""

from __future__ import annotations

import lzma
import os
import selectors
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from kernels import Kernel, KernelError, stock_kernel

_GUEST: Final = Path(__file__).resolve().parent / "guest"
_MODULES: Final = (  # needed to mount the root; each one after those that it depends on
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_console"),
    *("netfs", "fscache", "9pnet", "9pnet_virtio", "9p", "overlay"),
)
_BOOT_S: Final = 120.0
"""After this time the boot counts as failed. In emulation it usually takes ten seconds."""
_CONSOLE_LINES: Final = 30
"""Last lines of the guest's console that are printed if the guest fails."""


class GuestError(Exception):
    """The virtual machine itself failed. The message says how."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The configuration of a guest."""

    kernel: Kernel
    accelerator: str = "tcg"  # or kvm
    cpus: int = os.cpu_count() or 1
    memory_mib: int = 4096

    def run(self, command: Sequence[str], limit_s: float) -> int:
        """Boot, run a command in this directory and environment, print its output; returns its exit status.

        Raises:
            GuestError: the guest did not boot, or the command took too long, or the guest ended before the command.
        """
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="svc-trace-vm-")))
            initrd = directory / "initrd"
            _make_initrd(self.kernel, initrd)
            (directory / "command").write_text(_script(command))
            reading, writing = os.pipe()
            status = stack.enter_context(open(reading, "rb", buffering=0))  # noqa: PTH123 # opens a descriptor
            try:
                qemu = stack.enter_context(
                    subprocess.Popen(
                        self._command(directory, initrd, writing),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        pass_fds=[writing],
                        bufsize=0,
                    )
                )
            finally:
                os.close(writing)
            stack.callback(qemu.kill)
            assert qemu.stdout is not None
            try:
                return follow(qemu.stdout.fileno(), status.fileno(), _BOOT_S, limit_s)
            except GuestError as error:
                console = (directory / "console").read_text(errors="replace").splitlines()[-_CONSOLE_LINES:]
                raise GuestError("\n".join((str(error), *console))) from None

    def _command(self, directory: Path, initrd: Path, status: int) -> tuple[str, ...]:
        accelerator = "tcg,thread=multi" if self.accelerator == "tcg" else self.accelerator
        append = (
            *("console=ttyS0", "quiet", "panic=-1", "mitigations=off", "random.trust_cpu=on"),
            "tsc=reliable",  # otherwise the kernel reads the time from an emulated HPET, which takes twice as long
            *(f"guest_init={_GUEST / 'init.sh'}", f"guest_command={directory / 'command'}"),
            f"kernel={self.kernel.directory}",
        )
        return (
            *("setpriv", "--pdeathsig", "KILL"),  # ends it with this process
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"),
            *("-machine", "q35", "-accel", accelerator, "-cpu", "max"),
            *("-smp", str(self.cpus), "-m", f"{self.memory_mib}M"),
            *("-kernel", str(self.kernel.image), "-initrd", str(initrd), "-append", " ".join(append)),
            *("-serial", f"file:{directory / 'console'}", "-device", "virtio-serial-pci"),
            *("-chardev", "file,id=output,path=/dev/fd/1", "-device", "virtserialport,nr=1,chardev=output"),
            *("-chardev", f"file,id=status,path=/dev/fd/{status}", "-device", "virtserialport,nr=2,chardev=status"),
            *("-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap"),
        )


def _script(command: Sequence[str]) -> str:
    """A shell script that runs a command in this directory and environment, but with the guest's TMPDIR."""
    variables = {name: value for name, value in os.environ.items() if name.isidentifier() and name != "TMPDIR"}
    exports = (f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    return "\n".join((*exports, f"cd {shlex.quote(str(Path.cwd()))}", f"exec {shlex.join(command)}", ""))


def _make_initrd(kernel: Kernel, path: Path) -> None:
    """Write a cpio archive with busybox, the modules and the first program."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for directory in ("bin", "modules", "machine", "written", "root"):
            (root / directory).mkdir()
        (root / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
        (root / "init").write_bytes((_GUEST / "initrd.sh").read_bytes())
        for program in ("bin/busybox", "init"):
            (root / program).chmod(0o755)
        for applet in ("insmod", "mkdir", "mount", "poweroff", "switch_root"):
            (root / "bin" / applet).symlink_to("busybox")
        for number, module in enumerate(map(kernel.module, _MODULES), start=10):  # loaded in the order of their names
            if module is not None:
                data = module.read_bytes()
                content = lzma.decompress(data) if module.suffix == ".xz" else data
                (root / "modules" / f"{number}").write_bytes(content)
        names = "\n".join(str(entry.relative_to(root)) for entry in sorted(root.rglob("*")))
        pack = ["busybox", "cpio", "-o", "-H", "newc"]
        with path.open("wb") as archive:
            subprocess.run(pack, cwd=root, input=names.encode(), stdout=archive, stderr=subprocess.DEVNULL, check=True)


def follow(output: int, status: int, boot_s: float, limit_s: float) -> int:
    """Print the guest's output until the guest ends; returns the command's exit status.

    Args:
        output: descriptor from which the command's output is read.
        status: descriptor from which two lines are read: `up`, and the exit status.
        boot_s: the longest time until `up`.
        limit_s: the longest time from `up` to the end.

    Raises:
        GuestError: the guest takes longer, or ends before it reports the exit status.
    """
    reported = b""
    ends_at = time.monotonic() + boot_s
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        selector.register(status, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, ends_at - time.monotonic()))
            if not ready:
                raise GuestError(
                    f"the command took longer than {limit_s:.0f} s" if reported else "the guest does not boot"
                )
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fd)
                elif key.fd == output:
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                else:
                    if not reported:
                        ends_at = time.monotonic() + limit_s
                    reported += data
    if reported.count(b"\n") < 2:
        raise GuestError("the guest ended before the command" if reported else "the guest ended while it booted")
    return int(reported.split()[1])


accelerator_option: Final = click.option(
    "--accelerator",
    type=click.Choice(["tcg", "kvm"]),
    default="tcg",
    envvar="SVC_TRACE_VM_ACCELERATOR",
    show_default=True,
    show_envvar=True,
    help="tcg emulates the processor and works anywhere; kvm needs /dev/kvm and is several times faster.",
)
"""The option `--accelerator` of a click command."""


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--kernel", "series", default="6.1", show_default=True, help="The kernel's series.")
@click.option("--limit", "limit_s", default=900.0, show_default=True, help="Seconds that the command may take.")
@accelerator_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def main(series: str, limit_s: float, accelerator: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in a virtual machine with the newest stock Debian kernel of a series."""
    try:
        sys.exit(Machine(stock_kernel(series), accelerator).run(command, limit_s))
    except (GuestError, KernelError) as error:
        print(f"vm: {error}", file=sys.stderr)
        sys.exit(125)


if __name__ == "__main__":
    main()
