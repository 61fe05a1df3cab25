"""The sizes of those maps that the loader sets."""

from __future__ import annotations

from pathlib import Path
from typing import Final

RING_BYTES: Final = 16 << 20
"""Room for about 70,000 records between two drains; most sends need none (tallies.py)."""
SOCKETS: Final = 65536
"""How many sockets have an entry at a time where kprobes observe the sends; further ones are counted as lost."""


def possible_cpus() -> int:
    """How many CPUs the kernel may ever have: one more than the highest number in /sys/devices/system/cpu/possible."""
    ranges = Path("/sys/devices/system/cpu/possible").read_text()
    return int(ranges.strip().replace("-", ",").split(",")[-1]) + 1
