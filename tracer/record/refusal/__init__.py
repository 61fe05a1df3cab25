"""Refuses services to the traced tree, in the kernel, as if they were stopped. Nothing is left of it after the run."""
