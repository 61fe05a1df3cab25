"""scripts/fuzz finds faults that a changed input reaches, keeps the input, and stops a reader that never ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PROGRAM = """
import json, sys
import fuzz
from fuzz_targets import Target

def read(data):
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    if isinstance(value, dict) and {condition}:
        {fault}

fuzz.TARGETS = {{"planted": lambda _: Target(read, [b'{{"a": [1], "b": 2}}'], "json")}}
result = fuzz.fuzz("planted", 1.0, 1)
print(*result.findings, sep="\\n")
"""


@pytest.mark.parametrize(
    ("condition", "fault", "found"),
    [
        ("False", "pass", ""),
        ("isinstance(value.get('b'), float)", "1 / 0", "ZeroDivisionError"),
        ("value.get('a') == []", "raise KeyError('a')", "KeyError"),
        ("'b' not in value", "[0] * (1 << 30)", "MemoryError"),
        ("'b' not in value", "\n        while True: pass", "SlowError"),
    ],
)
def test_a_fault_is_found(condition: str, fault: str, found: str) -> None:
    program = PROGRAM.format(condition=condition, fault=fault)
    done = subprocess.run([sys.executable, "-c", program], cwd=SCRIPTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(found)
    assert bool(done.stdout.strip()) == bool(found)
