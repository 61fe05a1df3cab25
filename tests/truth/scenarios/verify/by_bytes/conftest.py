from pathlib import Path

from peers import errand


def port(name):
    """A random port on which a server outside of the run listens, the same in all runs. No rule names it."""
    path = Path(name)
    if not path.exists():
        path.write_text(errand("listen", 0))
    return int(path.read_text())


PORTS = {name: port(name) for name in ("cache", "api", "other")}
