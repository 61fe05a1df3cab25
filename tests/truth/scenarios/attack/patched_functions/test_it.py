import builtins
import collections
import fcntl
import itertools
import json
import json.encoder
import os
import platform
import resource
import select
import signal
import stat
import threading
import time

import pytest
from peers import alpha, beta, gamma

NAMES = [
    *[(os, name) for name in ("open", "write", "close", "stat", "fstat", "getpid", "register_at_fork")],
    (time, "monotonic_ns"),
    *[(json, name) for name in ("loads", "JSONEncoder")],
    (json.encoder, "JSONEncoder"),
    *[(threading, name) for name in ("get_ident", "get_native_id", "current_thread", "local", "Lock")],
    *[(signal, name) for name in ("getsignal", "pthread_sigmask", "sigtimedwait")],
    *[(select, name) for name in ("poll", "select")],
    *[(itertools, name) for name in ("count", "islice")],
    (fcntl, "fcntl"),
    (resource, "getrlimit"),
    (platform, "python_version"),
    (stat, "S_ISFIFO"),
    (collections, "deque"),
]


def refuse(*args, **kwargs):
    raise AssertionError("not for you")


@pytest.fixture
def patched(request):
    module, name = request.param
    original = getattr(module, name)
    alpha.ask()
    setattr(module, name, refuse)
    yield
    setattr(module, name, original)


@pytest.mark.parametrize("patched", NAMES, ids=[name for _, name in NAMES], indirect=True)
def test_patched(patched):
    beta.ask()


def test_builtin_open(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", refuse)
        gamma.ask()


def test_after():
    gamma.ask()
