"""Real containers, by runc: this machine's programs, read-only, in namespaces of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

CAPABILITIES: Final = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"]
_FIRST_ID: Final = 100_000
_INIT: Final = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 6379))
print("ready", flush=True)
os.dup2(os.open(os.devnull, os.O_RDWR), 1)
while True:
    client, _ = server.accept()
    with client:
        client.recv(100)
        client.sendall(b"+PONG\\r\\n")
"""
"""The container's first process: a server at a port of its own network namespace."""


class Container(NamedTuple):
    """A container that runs."""

    exec: tuple[str, ...]  # the words that execute a command in it
    app: Path  # its /app, which is its working directory, on this machine
    tmp: Path  # its /tmp

    def run(self, *command: str) -> str:
        """Execute a command in it. Returns its output."""
        return subprocess.run([*self.exec, *command], stdout=subprocess.PIPE, text=True, check=True).stdout


@contextmanager
def container(directory: Path, *, user_namespace: bool = False) -> Iterator[Container]:
    """Start a container, and remove it at the end.

    Args:
        directory: an empty one.
        user_namespace: its root is no root on this machine.
    """
    root, app, tmp = (directory / name for name in ("rootfs", "app", "tmp"))
    for path in (root, app, tmp):
        path.mkdir()
    owner = _FIRST_ID if user_namespace else 0
    for path, mode in ((directory, 0o755), (root, 0o777), (app, 0o777), (tmp, 0o1777)):
        path.chmod(mode)  # the owner on this machine may be another
    for link in ("bin", "sbin", "lib", "lib64"):
        if (target := Path("/", link)).is_symlink():
            (root / link).symlink_to(target.readlink())
    (directory / "config.json").write_text(json.dumps(_configuration(root, app, tmp, owner)))
    runc = ("runc", "--root", str(directory / "state"))
    name = f"svc-trace-{directory.name}"
    command = [*runc, "run", "--detach", "--bundle", str(directory), name]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as starting:
        assert starting.stdout
        said = starting.stdout.readline()
        try:
            assert (said, starting.wait()) == ("ready\n", 0)
            yield Container((*runc, "exec", name), app, tmp)
        finally:
            subprocess.run([*runc, "delete", "--force", name], check=True)


def _configuration(root: Path, app: Path, tmp: Path, owner: int) -> dict[str, object]:
    """The runtime's configuration (opencontainers/runtime-spec, config.md)."""
    project = Path(__file__).parents[2]
    programs = dict.fromkeys(["/usr", "/etc", sys.base_prefix, sys.prefix, str(project)])
    own = ["nosuid", "noexec", "nodev"]
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": own},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": [*own[:2], "newinstance"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": own},
        *({"destination": one, "type": "bind", "source": one, "options": ["rbind", "ro"]} for one in programs),
        {"destination": "/app", "type": "bind", "source": str(app), "options": ["rbind", "rw"]},
        {"destination": "/tmp", "type": "bind", "source": str(tmp), "options": ["rbind", "rw"]},
    ]
    namespaces = ["pid", "network", "ipc", "uts", "mount", *(["user"] if owner else [])]
    mapping = [{"containerID": 0, "hostID": owner, "size": 65536}]
    capabilities = dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES)
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0, "additionalGids": [7]},
            "args": [sys.executable, "-c", _INIT],
            "env": ["PATH=/usr/bin:/bin", "GREETING=hello", "HOME=/app"],
            "cwd": "/app",
            "capabilities": capabilities,
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": False},
        "hostname": "container",
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": one} for one in namespaces],
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mount", "bpf"], "action": "SCMP_ACT_ERRNO"}],
            },
            **({"uidMappings": mapping, "gidMappings": mapping} if owner else {}),
        },
    }
