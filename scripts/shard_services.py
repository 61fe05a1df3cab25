"""Real servers for one shard of a CI job, each of which may take longer to start than it does here.

`python shard_services.py NAME SECONDS` waits, as for an image to be pulled, starts one server, prints when it was ready
and its addresses, and stops it at the end of stdin.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

_ROOT: Final = Path(__file__).resolve().parents[1]
_HOST: Final = "127.0.0.1"

_ADDRESSES: Final[Mapping[str, Mapping[str, str]]] = {
    "kafka": {"SHOP_KAFKA_BOOTSTRAP": "{host}:{port}"},
    "mqtt": {"SHOP_MQTT": "{host}:{port}"},
    "postgres": {
        "SHOP_POSTGRES_DSN": "postgresql://postgres@{host}:{port}/shop",
        "SHOP_POSTGRES_SOCKET_DIR": "/nonexistent",
        "SHOP_POSTGRES_PORT": "{port}",
    },
    "redis": {"SHOP_REDIS_URL": "redis://{host}:{port}"},
    "search": {"SHOP_SEARCH_URL": "http://{host}:{port}"},
}
"""Service → the variables that a suite reads its addresses from."""

SERVICES: Final = tuple(_ADDRESSES)


class Started(Struct, frozen=True):
    """The services of a shard."""

    ready_s: Mapping[str, float]  # service → seconds from its start until it answered
    environment: Mapping[str, str]  # the addresses of all services, also of those that were not started

    def reachable(self) -> list[str]:
        """The services that accept a connection now; sorted."""
        return [name for name, (variable, *_) in _ADDRESSES.items() if _accepts(self.environment[variable])]


def _accepts(address: str) -> bool:
    host, port = re.findall(r"([\d.]+):(\d+)", address)[0]
    try:
        socket.create_connection((host, int(port))).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def started(names: Collection[str], delays_s: Mapping[str, float]) -> Iterator[Started]:
    """Start services at once, wait until all are ready, and stop them at the end.

    At the addresses of all other services, connections are refused: their ports are taken, and nothing listens.

    Args:
        names: the services to start.
        delays_s: service → seconds before its server starts.

    Raises:
        SystemExit: a server does not start; its error is on stderr.
    """
    with ExitStack() as stack:
        environment: dict[str, str] = {}
        for name in SERVICES:
            if name not in names:
                taken = stack.enter_context(socket.socket())
                taken.bind((_HOST, 0))
                environment |= _closed(name, taken.getsockname()[1])
        begin = time.monotonic()
        servers = {name: stack.enter_context(_server(name, delays_s.get(name, 0))) for name in names}
        ready_s: dict[str, float] = {}
        for name, server in servers.items():
            assert server.stdout
            line = server.stdout.readline()
            if not line:
                sys.exit(f"ci-rehearsal: {name} does not start")
            ready, addresses = json.loads(line)
            ready_s[name] = ready - begin
            environment |= addresses
        yield Started(ready_s, environment)


def _closed(name: str, port: int) -> Mapping[str, str]:
    return {variable: text.format(host=_HOST, port=port) for variable, text in _ADDRESSES[name].items()}


@contextmanager
def _server(name: str, delay_s: float) -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join(str(_ROOT / directory) for directory in ("examples", "tests"))
    with subprocess.Popen(
        [sys.executable, __file__, name, str(delay_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C reaches only this program, which then closes its stdin
    ) as process:
        yield process


def _serve(name: str, delay_s: float) -> None:
    import services
    from truth.servers import mosquitto

    @contextmanager
    def mqtt(directory: Path) -> Iterator[dict[str, str]]:
        with mosquitto(directory) as address:
            yield {"SHOP_MQTT": address}

    starts: dict[str, Callable[[Path], AbstractContextManager[dict[str, str]]]] = {
        "kafka": services.kafka,
        "mqtt": mqtt,
        "postgres": services.postgres,
        "redis": services.redis,
        "search": services.search,
    }
    time.sleep(delay_s)  # stands for what a start takes elsewhere
    with TemporaryDirectory(prefix="rehearsal-", dir="/tmp") as temporary:
        directory = Path(temporary)
        directory.chmod(0o755)  # Postgres may run as another user
        with starts[name](directory) as environment:
            print(json.dumps([time.monotonic(), environment]), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], float(sys.argv[2]))
