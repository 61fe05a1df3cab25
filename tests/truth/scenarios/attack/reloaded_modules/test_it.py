import importlib
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from peers import alpha, delta, gamma

INNER = ["-q", "-p", "no:cacheprovider", "inner/check_it.py"]


def test_reloads():
    for module in (json, os, time, subprocess, threading):
        importlib.reload(module)
    alpha.ask()


def test_runs_pytest():
    assert pytest.main(INNER) == 0
    alpha.ask()


def test_purges_and_runs_pytest(monkeypatch):
    kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] in sys.stdlib_module_names}
    monkeypatch.setattr(sys, "modules", sys.modules)
    before = dict(sys.modules)
    try:
        sys.modules.clear()
        sys.modules.update(kept)
        fresh = importlib.import_module("pytest")
        assert fresh is not pytest
        assert fresh.main(INNER) == 0
    finally:
        sys.modules.clear()
        sys.modules.update(before)
    gamma.ask()


def test_after():
    delta.ask()
