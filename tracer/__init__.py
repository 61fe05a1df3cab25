"""svc-trace: which external services does each test really talk to, as the kernel saw it."""

__version__ = "0.1.0"
