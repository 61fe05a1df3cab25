"""Starts to measure the coverage of tracer/ in this process, if scripts/test asks for it. Import it before tracer."""

from __future__ import annotations

from typing import Final

from tracer_coverage import measure

finish: Final = measure()
"""Ends the measurement."""
