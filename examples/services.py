"""Start the real servers that the shop's tests use: PostgreSQL, Redis, Kafka and the search service.

    python examples/services.py -- CMD …           run CMD with their addresses in the environment, then stop them
    python examples/services.py --env-file FILE    write the addresses to FILE; stop at the end of stdin or on SIGTERM

From Python, `with services.running() as environment:` gives the same addresses as a `dict[str, str]`. All ports are
free ports, so several instances can run at the same time. The servers are not descendants of CMD. They end with this
program; their data in /tmp is removed, except after SIGKILL.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FrameType, MappingProxyType
from typing import Any

import psycopg2

HERE = Path(__file__).resolve().parent
SCHEMA = HERE / "shop" / "schema.sql"
TOPICS = ["orders", "audit"]

READY_S = 30.0  # until a server must answer
PAUSE_S = 0.01  # between two attempts to connect
STOP_S = 10.0  # until a server must have ended
PR_SET_PDEATHSIG = 1  # prctl(2)


class ServerError(Exception):
    """A server is not installed, or does not start."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was just started."""

    name: str
    process: subprocess.Popen[str]
    log: Path

    def wait_for(self, attempt: Callable[[], None]) -> None:
        """Call `attempt` until the server answers or ends.

        Args:
            attempt: returns when the server answers, and raises OSError or psycopg2.OperationalError otherwise.

        Raises:
            ServerError: the server ended, or did not answer in time.
        """
        deadline = monotonic() + READY_S
        while self.process.poll() is None and monotonic() < deadline:
            try:
                return attempt()
            except (OSError, psycopg2.OperationalError):
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(PAUSE_S)
        raise self.failure()

    def announcement(self) -> str:
        """The address that the server prints as soon as it listens.

        Raises:
            ServerError: the server ended without one.
        """
        assert self.process.stdout
        address = self.process.stdout.readline().strip()
        if not address:
            raise self.failure()
        return address

    def failure(self) -> ServerError:
        return ServerError(f"{self.name} does not start:\n{self.log.read_text()}")


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start all servers, and stop them at the end; their data is removed.

    Yields:
        The environment variables that the shop reads its services' addresses from.

    Raises:
        ServerError: a server is not installed, or does not start; says which and what to do.
    """
    with ExitStack() as stack:
        # Not in TMPDIR: a socket's path must be short, and the server may run as another user.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shop-services-", dir="/tmp")))
        directory.chmod(0o755)
        environment: dict[str, str] = {}
        for server in (redis, kafka, search, postgres):
            environment |= stack.enter_context(server(directory))
        yield environment


@contextmanager
def postgres(directory: Path, settings: Mapping[str, object] = MappingProxyType({})) -> Iterator[dict[str, str]]:
    """A new cluster with the shop's schema, on TCP and on a unix socket. `settings`: further settings of the server."""
    initdb, binary = postgres_program("initdb"), postgres_program("postgres")
    account = unprivileged_account()
    sockets = directory / "postgres"
    sockets.mkdir()
    data = sockets / "data"
    if account:
        shutil.chown(sockets, account["user"], account["group"])
    create = [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(create, cwd=sockets, capture_output=True, text=True, **account)
    if made.returncode:
        raise ServerError(f"initdb failed:\n{made.stderr}")

    with reserved_port() as port:
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": sockets,
            "fsync": "off",
            "autovacuum": "off",
            **settings,
        }
        command = [binary, "-D", str(data), *(f"--{name}={value}" for name, value in options.items())]
        address = f"postgresql://postgres@127.0.0.1:{port}"
        # SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait for clients to disconnect.
        with child("postgres", command, directory, stop=signal.SIGINT, **account) as server:
            server.wait_for(lambda: psycopg2.connect(f"{address}/postgres").close())
            create_database(address, "shop")
            yield {
                "SHOP_POSTGRES_DSN": f"{address}/shop",
                "SHOP_POSTGRES_SOCKET_DIR": str(sockets),
                "SHOP_POSTGRES_PORT": str(port),
            }


def create_database(address: str, name: str) -> None:
    """What a project's CI does before its tests: create the database and migrate it."""
    server = psycopg2.connect(f"{address}/postgres")
    server.autocommit = True  # CREATE DATABASE cannot run in a transaction
    with server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    server.close()
    database = psycopg2.connect(f"{address}/{name}")
    with database, database.cursor() as cursor:
        cursor.execute(SCHEMA.read_text())
    database.close()


@contextmanager
def redis(directory: Path) -> Iterator[dict[str, str]]:
    """A Redis without persistence."""
    with reserved_port() as port:
        command = [program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        with child("redis", command, directory) as server:
            server.wait_for(lambda: ping(port))
            yield {"SHOP_REDIS_URL": f"redis://127.0.0.1:{port}"}


def ping(port: int) -> None:
    """Check that a Redis answers.

    Raises:
        OSError: it does not answer, or not yet.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=READY_S) as client:
        client.sendall(b"PING\r\n")
        if not client.recv(64).startswith(b"+PONG"):
            raise ConnectionError("no PONG")


@contextmanager
def kafka(directory: Path) -> Iterator[dict[str, str]]:
    """Three brokers with the shop's topics."""
    command = [sys.executable, str(HERE / "kafka_server.py"), "--brokers", "3", *TOPICS]
    with child("kafka", command, directory, stdout=subprocess.PIPE) as server:
        yield {"SHOP_KAFKA_BOOTSTRAP": server.announcement()}


@contextmanager
def search(directory: Path) -> Iterator[dict[str, str]]:
    """The search service, on its own loopback address."""
    command = [sys.executable, str(HERE / "search_server.py")]
    with child("search", command, directory, stdout=subprocess.PIPE) as server:
        yield {"SHOP_SEARCH_URL": server.announcement()}


@contextmanager
def child(
    name: str,
    command: list[str],
    directory: Path,
    *,
    stop: signal.Signals = signal.SIGTERM,
    **options: Any,
) -> Iterator[Server]:
    """A server as a child process; its output goes to `NAME.log` in `directory`. `options` are Popen's.

    It has its own session, so that Ctrl-C reaches only the tests. It ends when this process ends, even by SIGKILL.
    """
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def end_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, stop)
        if os.getppid() != parent:  # the parent died before the prctl: no signal will come
            os._exit(1)

    path = directory / f"{name}.log"
    with (
        path.open("w") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=log,
            text=True,
            cwd=directory,
            start_new_session=True,
            preexec_fn=end_with_parent,  # runs after the change of user, which would reset it
            **{"stdout": log} | options,
        ) as process,
    ):
        try:
            yield Server(name, process, path)
        finally:
            process.send_signal(stop)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def program(name: str, package: str) -> str:
    """The path of a server's program; `package` is its package in Debian and Ubuntu."""
    path = shutil.which(name)
    if path is None:
        raise ServerError(f"{name} is not installed: apt-get install {package}")
    return path


def postgres_program(name: str) -> str:
    """The path of a PostgreSQL program. Debian has one directory for each version, not in PATH: take the newest."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(versions[-1]) if versions else program(name, "postgresql")


def unprivileged_account() -> dict[str, Any]:
    """The account for PostgreSQL, as Popen's arguments: `nobody` if this process is root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [nobody.pw_gid]}


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free TCP port on 127.0.0.1, at which only a server with SO_REUSEADDR can listen until the end of the block."""
    with socket.socket() as reserving:
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserving.bind(("127.0.0.1", 0))
        yield reserving.getsockname()[1]


def run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command with the servers' addresses.

    Returns:
        Its exit status, or 128 + the signal that killed it, as in a shell.
    """
    with subprocess.Popen(command, env=os.environ | environment) as process:
        # Ctrl-C reaches the command too: let it finish. An exception could lose the status that wait() has just got.
        signal.signal(signal.SIGINT, lambda *_: None)
        try:
            status = process.wait()
        except SystemExit:
            process.terminate()
            raise
    return status if status >= 0 else 128 - status


def stay(file: Path, environment: dict[str, str]) -> None:
    """Write the servers' addresses to `file`, one `NAME=value` a line, and wait for the end of stdin."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    draft.rename(file)  # a reader never sees an incomplete file
    try:
        print(file, flush=True)
        sys.stdin.buffer.read()
    finally:
        file.unlink(missing_ok=True)  # the addresses are no longer valid


def end(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an exception, so that the servers are stopped."""
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Run a command with the real servers that the shop's tests talk to.",
        usage="%(prog)s [-h] (--env-file FILE | -- CMD …)",
    )
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="write the servers' addresses to FILE and stay")
    parser.add_argument("command", nargs="*", metavar="CMD", help="what to run with the addresses in its environment")
    arguments = parser.parse_args()
    if bool(arguments.env_file) == bool(arguments.command):
        parser.error("give either --env-file FILE or -- CMD")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        with running() as environment:
            if arguments.command:
                return run(arguments.command, environment)
            stay(arguments.env_file, environment)
            return 0
    except (ServerError, FileNotFoundError) as error:  # no server, or no CMD
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
