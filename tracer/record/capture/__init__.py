"""Backends that observe the kernel, behind one protocol."""
