"""A virtual machine with a stock Debian kernel on this machine's own root, for one command. Run by scripts/vm.

The guest sees all files of the machine, read-only over 9p; what it writes stays in its memory. It has no network but
its own loopback. Nothing is installed and no disk is made: it has booted and is gone again within ten seconds.
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
_MODULES: Final = (  # what it takes to mount the root, each after what it needs
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_console"),
    *("netfs", "fscache", "9pnet", "9pnet_virtio", "9p", "overlay"),
)
_BOOT_S: Final = 120.0
"""Until a guest counts as hanging. Ten seconds are usual in emulation."""
_CONSOLE_LINES: Final = 30
"""Of the guest's console, shown when it fails."""


class GuestError(Exception):
    """The virtual machine itself failed; says how."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the guest is given."""

    kernel: Kernel
    accelerator: str = "tcg"  # or kvm
    cpus: int = os.cpu_count() or 1
    memory_mib: int = 4096

    def run(self, command: Sequence[str], limit_s: float) -> int:
        """Boot, run a command in this directory and environment, hand on its output; returns its exit status.

        Raises:
            GuestError: it did not boot, or the command did not end in time, or the guest died under it.
        """
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="svc-trace-vm-")))
            initrd = folder / "initrd"
            _make_initrd(self.kernel, initrd)
            (folder / "command").write_text(_script(command))
            reading, writing = os.pipe()
            status = stack.enter_context(open(reading, "rb", buffering=0))  # noqa: PTH123 # a descriptor's
            try:
                qemu = stack.enter_context(
                    subprocess.Popen(
                        self._command(folder, initrd, writing),
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
                console = (folder / "console").read_text(errors="replace").splitlines()[-_CONSOLE_LINES:]
                raise GuestError("\n".join((str(error), *console))) from None

    def _command(self, folder: Path, initrd: Path, status: int) -> tuple[str, ...]:
        accelerator = "tcg,thread=multi" if self.accelerator == "tcg" else self.accelerator
        append = (
            *("console=ttyS0", "quiet", "panic=-1", "mitigations=off", "random.trust_cpu=on"),
            "tsc=reliable",  # or an emulated HPET is asked for the time, at twice the cost
            *(f"guest_init={_GUEST / 'init.sh'}", f"guest_command={folder / 'command'}"),
            f"kernel={self.kernel.folder}",
        )
        return (
            *("setpriv", "--pdeathsig", "KILL"),  # so that it never outlives us
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none"),
            *("-machine", "q35", "-accel", accelerator, "-cpu", "max"),
            *("-smp", str(self.cpus), "-m", f"{self.memory_mib}M"),
            *("-kernel", str(self.kernel.image), "-initrd", str(initrd), "-append", " ".join(append)),
            *("-serial", f"file:{folder / 'console'}", "-device", "virtio-serial-pci"),
            *("-chardev", "file,id=output,path=/dev/fd/1", "-device", "virtserialport,nr=1,chardev=output"),
            *("-chardev", f"file,id=status,path=/dev/fd/{status}", "-device", "virtserialport,nr=2,chardev=status"),
            *("-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap"),
        )


def _script(command: Sequence[str]) -> str:
    """A shell script that runs a command in our directory and environment; temporary files are the guest's own."""
    variables = {name: value for name, value in os.environ.items() if name.isidentifier() and name != "TMPDIR"}
    exports = (f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    return "\n".join((*exports, f"cd {shlex.quote(str(Path.cwd()))}", f"exec {shlex.join(command)}", ""))


def _make_initrd(kernel: Kernel, path: Path) -> None:
    """An archive with busybox, the modules and the first program."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in ("bin", "modules", "machine", "written", "root"):
            (root / folder).mkdir()
        (root / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
        (root / "init").write_bytes((_GUEST / "initrd.sh").read_bytes())
        for program in ("bin/busybox", "init"):
            (root / program).chmod(0o755)
        for applet in ("insmod", "mkdir", "mount", "poweroff", "switch_root"):
            (root / "bin" / applet).symlink_to("busybox")
        for number, module in enumerate(map(kernel.module, _MODULES), start=10):  # they are loaded by name
            if module is not None:
                data = module.read_bytes()
                content = lzma.decompress(data) if module.suffix == ".xz" else data
                (root / "modules" / f"{number}").write_bytes(content)
        names = "\n".join(str(entry.relative_to(root)) for entry in sorted(root.rglob("*")))
        pack = ["busybox", "cpio", "-o", "-H", "newc"]
        with path.open("wb") as archive:
            subprocess.run(pack, cwd=root, input=names.encode(), stdout=archive, stderr=subprocess.DEVNULL, check=True)


def follow(output: int, status: int, boot_s: float, limit_s: float) -> int:
    """Hand on the guest's output until it has ended; returns the command's exit status.

    Args:
        output: descriptor to read the command's output from.
        status: descriptor to read `up` and the exit status from, a line each.
        boot_s: how long it may take until it is up.
        limit_s: how long the command may take.

    Raises:
        GuestError: it takes longer, or ends before it has told the exit status.
    """
    told = b""
    ends_at = time.monotonic() + boot_s
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        selector.register(status, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, ends_at - time.monotonic()))
            if not ready:
                raise GuestError(f"the command took longer than {limit_s:.0f} s" if told else "the guest does not boot")
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fd)
                elif key.fd == output:
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                else:
                    if not told:
                        ends_at = time.monotonic() + limit_s
                    told += data
    if told.count(b"\n") < 2:
        raise GuestError("the guest died under the command" if told else "the guest died while it booted")
    return int(told.split()[1])


accelerator_option: Final = click.option(
    "--accelerator",
    type=click.Choice(["tcg", "kvm"]),
    default="tcg",
    envvar="SVC_TRACE_VM_ACCELERATOR",
    show_default=True,
    show_envvar=True,
    help="Emulation, which works anywhere, or the processor's own virtualisation, which is several times as fast.",
)
"""Which of both, for a click command."""


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
