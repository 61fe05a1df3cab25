"""Real logs, of strace 6.1 with the backend's options. Paths have been shortened."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOGS: Final = {path.stem: path.read_bytes() for path in sorted(Path(__file__).with_name("data").glob("*.log"))}
