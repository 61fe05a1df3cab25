"""System calls for mounts, by ctypes: Python has none of them before 3.12."""

from __future__ import annotations

import ctypes
import os
from typing import Final

CLONE_NEWNS: Final = 0x20000  # linux/sched.h
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000  # linux/mount.h, also for the rest
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # the same numbers on all architectures
_CLOEXEC: Final = 1  # FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
_CREATE: Final = 6  # FSCONFIG_CMD_CREATE

_libc: Final = ctypes.CDLL(None, use_errno=True)


def unshare_mounts() -> None:
    """Give this process a mount namespace of its own: mounts outside appear in it, those in it stay there.

    Raises:
        OSError: not permitted, or no memory.
    """
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    _check(_libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None), "/")


def bind(source: str, target: str) -> None:
    """Mount one file over another one.

    Raises:
        OSError: not permitted, or no such file.
    """
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(MS_BIND), None), target)


def detached_cgroup2() -> int:
    """Mount cgroup v2 where no path leads: the descriptor of its root directory (fsopen(2)).

    Raises:
        OSError: not permitted, or the kernel has no cgroup v2.
    """
    context = _check(_libc.syscall(_FSOPEN, b"cgroup2", _CLOEXEC), "cgroup2")
    try:
        _check(_libc.syscall(_FSCONFIG, context, _CREATE, None, None, 0), "cgroup2")
        return _check(_libc.syscall(_FSMOUNT, context, _CLOEXEC, 0), "cgroup2")
    finally:
        os.close(context)


def _check(result: int, name: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result
