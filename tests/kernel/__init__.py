"""Capture on the real kernel: needs root."""
