"""Rehearses a CI on the example suite: the plan's shards start only their services, and run each test once."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REHEARSAL = ROOT / "scripts" / "ci-rehearsal"

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can trace with libbpf"),
]


def test_the_example_suite_passes_in_the_planned_shards(tmp_path: Path) -> None:
    written = tmp_path / "rehearsal.json"
    command = ["shop", "--shards", "2", "--start-up", "search=4", "--start-up", "kafka=4", "--json", str(written)]
    done = subprocess.run([REHEARSAL, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rehearsal: dict[str, Any] = json.loads(written.read_text())
    shards = rehearsal["shards"]
    planned = rehearsal["plan"]["shards"]
    assert [shard["status"] for shard in shards] == [0] * len(planned)
    assert [sorted(shard["tests"]) for shard in shards] == [sorted(shard["tests"]) for shard in planned]
    ran = Counter(test for shard in shards for test in shard["tests"])
    assert len(ran) == 47
    assert set(ran.values()) == {1}
    assert [shard["reachable"] for shard in shards] == [shard["services"] for shard in planned]
    assert any("search" not in shard["reachable"] for shard in shards)
    assert not any("mqtt" in shard["reachable"] for shard in shards)  # no test of this suite uses it
