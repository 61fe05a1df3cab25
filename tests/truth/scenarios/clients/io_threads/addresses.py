"""Where the servers are."""

import os

CERTIFICATE = os.environ["TRUTH_CERTIFICATE"]


def address(name, tls=False):
    """HOST:PORT of a server, or of the proxy in front of it."""
    url = os.environ.get(f"SHOP_{name}_URL") if not tls else None
    return (url or os.environ[f"TRUTH_{name}_TLS" if tls else f"TRUTH_{name}"]).rpartition("/")[2]


def split(name, tls=False):
    """The same as host and port."""
    host, _, port = address(name, tls).partition(":")
    return host, int(port)
