import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2
import pytest


@pytest.fixture(scope="session")
def directory():
    with tempfile.TemporaryDirectory(dir="/tmp") as path:  # a unix socket's path has to be short
        Path(path).chmod(0o755)
        yield Path(path)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def until_it_works(attempt, process):
    while True:
        try:
            return attempt()
        except (OSError, psycopg2.OperationalError):
            assert process.poll() is None, "the server has ended"
            time.sleep(0.01)


@pytest.fixture(scope="session")
def redis_server(directory):
    port, path = free_port(), str(directory / "redis")
    command = ["redis-server", "--port", str(port), "--unixsocket", path, "--save", "", "--dir", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        until_it_works(lambda: socket.create_connection(("127.0.0.1", port)).close(), process)
        yield {"port": port, "path": path}
        process.terminate()


@pytest.fixture(scope="session")
def postgres_server(directory):
    """With TLS, by a certificate of its own. PostgreSQL refuses to be root."""
    sockets = directory / "postgres"
    data, key, certificate = (str(sockets / name) for name in ("data", "server.key", "server.crt"))
    nobody = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
    sockets.mkdir()
    if nobody:
        shutil.chown(sockets, "nobody", nobody["group"])
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **nobody}
    subprocess.run(["openssl", "req", "-x509", *curve, "-keyout", key, "-out", certificate], check=True, **quiet)
    create = ["initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(create, check=True, **quiet)
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(sockets),
        "fsync": "off",
        "ssl": "on",
        "ssl_key_file": key,
        "ssl_cert_file": certificate,
    }
    options = [part for name, value in settings.items() for part in ("-c", "%s=%s" % (name, value))]
    port = free_port()  # only now: other servers start meanwhile
    with subprocess.Popen(["postgres", "-D", data, "-p", str(port), *options], **quiet) as process:
        address = {"port": port, "user": "postgres", "dbname": "postgres"}
        until_it_works(lambda: psycopg2.connect(host=str(sockets), **address).close(), process)
        yield {**address, "sockets": str(sockets)}
        process.terminate()
