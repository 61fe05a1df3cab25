"""`svc-trace init` on real suites: what it writes, what it does not overwrite, and as whom."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from environments import environment_with
from jsonschema import Draft7Validator
from launched import new_user

from tracer.classify.services.config import load_config
from tracer.classify.services.schema import configuration_schema
from tracer.errors import ExitStatus

SHOP = Path(__file__).parents[2] / "examples" / "shop"
HEAD = """\
# By `svc-trace init`, from what was found; each part has its reason. It may be
# wrong: after a traced run, `svc-trace validate svc-trace.json` checks it.
"""
SCHEMA = Draft7Validator(configuration_schema())


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """The root of a repository without tests."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def write(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def init(
    directory: Path, *options: str, python: Path = Path(sys.executable), environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it in a directory, with the pytest of a Python in PATH."""
    programs = directory / ".git" / "programs"
    programs.mkdir(exist_ok=True)
    program = programs / "pytest"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m pytest "$@"\n')
    program.chmod(0o755)
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "VIRTUAL_ENV": "active", "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-m", "tracer", "init", *options],
        cwd=directory,
        env=os.environ | own | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def checked(directory: Path, name: str = "svc-trace.toml") -> str:
    """The text of a configuration that can be read, and that the schema accepts."""
    path = directory / name
    load_config(path, directory)
    document = tomllib.loads(path.read_text())
    table = document["tool"]["svc-trace"] if name == "pyproject.toml" else document
    assert [error.message for error in SCHEMA.iter_errors(table)] == []
    return path.read_text()


def test_the_example_gets_rules_that_can_be_checked(suite: Path, shop_services: dict[str, str]) -> None:
    """They are those that its authors wrote, and one for Redis; only names of hosts are not to be seen."""
    shop = suite / "shop"
    shutil.copytree(SHOP, shop)
    before = (SHOP / "pyproject.toml").read_text().partition("# PostgreSQL, Redis and Kafka")[0]
    (shop / "pyproject.toml").write_text(before)
    (shop / ".git").mkdir()
    done = init(shop, environment=shop_services)
    assert done.returncode == 0, done.stderr
    assert (
        checked(shop, "pyproject.toml")
        == f"""{before}
{HEAD}[tool.svc-trace]

[tool.svc-trace.assumptions.kafka]
markers = ["requires_kafka"] # 6 tests

[tool.svc-trace.assumptions.postgres]
fixtures = [
  "db", # 6 tests
  "local_db", # 2 tests
]
classes = ["shop.testing.DatabaseTestCase"] # 4 tests

[tool.svc-trace.assumptions.redis]
fixtures = ["redis_client"] # 6 tests
"""
    )
    root = [] if os.geteuid() == 0 else ["--sudo"]
    lines = done.stdout.splitlines()
    assert lines[lines.index("next") + 1] == f"    {shlex.join(['svc-trace', *root, '--', 'pytest'])}"
    tracer = [sys.executable, "-m", "tracer"]
    run = [*tracer, "-q", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    subprocess.run(run, cwd=shop, env=os.environ | shop_services, check=True, capture_output=True)
    validate = [*tracer, "validate", "svc-trace.json", "--format", "json"]
    validation = json.loads(subprocess.run(validate, cwd=shop, check=True, capture_output=True).stdout)
    checks = {name: (one["confirmed"], len(one["over_assumed"])) for name, one in validation["services"].items()}
    assert checks == {
        "kafka": (5, 1),
        "postgres": (10, 2),
        "redis": (6, 0),
    }


DJANGO = {
    "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = settings\npythonpath = .\n",
    "settings.py": (
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['shop']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.ENGINE_NAME', 'NAME': 'shop', 'PORT': '5433'}}\n"
    ),
    "shop/__init__.py": "",
    "shop/models.py": "from django.db import models\nclass Order(models.Model):\n    number = models.IntegerField()\n",
    "tests/conftest.py": (
        "import pytest\n@pytest.fixture\ndef redis_url(): return 'redis://localhost'\n"
        "@pytest.fixture\ndef redis_client(redis_url): return None\n"
    ),
    "tests/test_orders.py": """
import pytest
from django.test import SimpleTestCase, TestCase
from shop.models import Order
class OrderTest(TestCase):
    def test_stores(self): Order.objects.create(number=1)
    def test_finds(self): assert not Order.objects.exists()
class NumberTest(SimpleTestCase):
    def test_number(self): assert Order(number=1).number == 1
@pytest.mark.django_db
def test_with_marker(): assert not Order.objects.exists()
def test_with_fixtures(db, redis_client): assert not Order.objects.exists()
""",
    "tests/unit/test_sums.py": "def test_sum(): assert 1 + 1 == 2\n",
    "compose.yaml": """
services:
  db: {image: postgres:16, ports: ["5433:5432"]}
  cache: {image: redis:7, ports: ["6379:6379"]}
  billing: {build: billing, ports: ["7070:80"]}
""",
}


@pytest.fixture(scope="session")
def django() -> Path:
    """A Python with Django and pytest-django."""
    return environment_with(sys.executable, ("pytest", "pytest-django", "Django", "psycopg2-binary"))


def test_django_with_postgres(suite: Path, django: Path) -> None:
    write(suite, {name: text.replace("ENGINE_NAME", "postgresql") for name, text in DJANGO.items()})
    done = init(suite, python=django)
    assert done.returncode == 0, done.stderr
    assert (
        checked(suite)
        == HEAD
        + """\
extends = ["django"] # 3 tests with Django's classes or the marker django_db

# compose.yaml: db (postgres:16) at 5433
# A table replaces the preset's, so the preset's lines are repeated.
[services.postgres]
ports = [5432, 5433]
unix = ["*/.s.PGSQL.*"]
protocol = "postgres"

# compose.yaml: billing at 7070
[services.billing]
ports = [7070]

[assumptions.redis]
fixtures = ["redis_client"] # 1 test

[[contracts]] # 1 test
path = "tests/unit/**"
services = "none"
"""
    )
    assert "Django's databases       django.db.backends.postgresql at port 5433\n" in done.stdout


def test_django_with_another_database(suite: Path, django: Path) -> None:
    """SQLite is no service, whatever clients are installed."""
    write(suite, {name: text.replace("ENGINE_NAME", "sqlite3") for name, text in DJANGO.items()})
    (suite / "compose.yaml").unlink()
    shutil.rmtree(suite / "tests" / "unit")
    assert init(suite, python=django).returncode == 0
    assert checked(suite) == HEAD + '\n[assumptions.redis]\nfixtures = ["redis_client"] # 1 test\n'


COMPOSE = {
    "tests/docker-compose.yml": """
services:
  httpbin: {image: kennethreitz/httpbin, ports: ["80"]}
  queue: {image: "rabbitmq:3-management", ports: ["5673:5672", "15672:15672"]}
  queue-ui: {image: example/rabbitmq-ui, ports: ["8081:80"]}
""",
    "tests/conftest.py": """
import pytest
@pytest.fixture(scope="session")
def docker_services(): return None
@pytest.fixture(scope="session")
def httpbin_service(docker_services): return "http://localhost"
@pytest.fixture
def rabbit(docker_services): return None
@pytest.fixture
def fake_redis(): return None
""",
    "tests/test_it.py": """
import pytest
def test_status(httpbin_service): pass
def test_queue(rabbit): pass
def test_cache(fake_redis): pass
@pytest.mark.requires_ledger
def test_bill(): pass
""",
    "pyproject.toml": "[project]\r\nname = 'x'\r\nversion = '1'\r\n[tool.pytest.ini_options]\r\n"
    "markers = ['requires_ledger: needs a ledger', 'requires_kafka: needs a broker']",
}


def test_a_compose_file_of_the_tests(suite: Path) -> None:
    """Also: the bytes and the mode of pyproject.toml are kept, with its kind of line breaks."""
    write(suite, COMPOSE)
    path = suite / "pyproject.toml"
    before = COMPOSE["pyproject.toml"].encode()
    path.write_bytes(before)
    path.chmod(0o640)
    done = init(suite)
    assert done.returncode == 0, done.stderr
    checked(suite, "pyproject.toml")
    assert path.read_bytes().startswith(before + b"\r\n\r\n# By ")
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(entry.name for entry in suite.iterdir()) == [".git", "pyproject.toml", "tests"]
    added = path.read_text()[len(COMPOSE["pyproject.toml"].replace("\r\n", "\n")) :].lstrip("\n")
    assert (
        added
        == HEAD
        + """\
[tool.svc-trace]

# tests/docker-compose.yml: httpbin (kennethreitz/httpbin) at a port that changes
[tool.svc-trace.services.httpbin]
hosts = ["httpbin"]

# tests/docker-compose.yml: queue (rabbitmq:3-management) at 5673, 15672
# A table replaces the preset's, so the preset's lines are repeated.
[tool.svc-trace.services.rabbitmq]
ports = [5671, 5672, 15672, 5673]
protocol = "amqp"

# tests/docker-compose.yml: queue-ui (example/rabbitmq-ui) at 8081
[tool.svc-trace.services.queue-ui]
ports = [8081]

[tool.svc-trace.assumptions.kafka]
markers = ["requires_kafka"] # a marker that is registered

[tool.svc-trace.assumptions.rabbitmq]
fixtures = ["rabbit"] # 1 test

[tool.svc-trace.assumptions.httpbin]
fixtures = ["httpbin_service"] # 1 test

[[tool.svc-trace.contracts]] # 2 tests
fixture = "docker_services"
services = "some"

# marker requires_ledger, 1 test: which ports or hosts does this service have?
# [tool.svc-trace.services.ledger]
# ports = []
"""
    )


def test_nothing_at_all(suite: Path) -> None:
    done = init(suite)
    assert done.returncode == 0, done.stderr
    nothing = (
        "# Nothing that was found needs a line here: the usual services are known by\n# their ports and protocols.\n"
    )
    assert checked(suite) == HEAD + nothing
    assert "tests                    none that pytest finds here\n" in done.stdout


def test_a_suite_that_cannot_be_collected(suite: Path) -> None:
    write(suite, COMPOSE | {"tests/conftest.py": "import no_such_module\n"})
    done = init(suite)
    assert done.returncode == 0, done.stderr
    assert "warning: the tests are not known: pytest --collect-only ended with status 4:" in done.stdout
    assert "No module named 'no_such_module'" in " ".join(done.stdout.split())
    text = checked(suite, "pyproject.toml")
    assert "[tool.svc-trace.services.rabbitmq]" in text
    assert '[tool.svc-trace.assumptions.kafka]\nmarkers = ["requires_kafka"] # a marker that is registered\n' in text


def test_a_file_that_cannot_be_collected(suite: Path) -> None:
    write(suite, {"test_a.py": "def test_a(redis): pass\n", "test_b.py": "1 / 0\n"})
    done = init(suite, "--print")
    assert "warning" not in done.stdout
    assert done.stdout.endswith('[assumptions.redis]\nfixtures = ["redis"] # 1 test\n')
    assert "1 file could not be collected" in init(suite).stdout


def test_what_pytest_keeps_for_its_next_run_is_kept(suite: Path) -> None:
    write(suite, {"pytest.ini": "[pytest]\naddopts = --last-failed\n", "test_a.py": "def test_a(redis): pass\n"})
    write(suite, {"test_b.py": "def test_b(): assert 0\n"})
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "test_b.py"]
    subprocess.run(command, cwd=suite, capture_output=True, check=False)
    kept = {path: path.read_bytes() for path in (suite / ".pytest_cache").rglob("*") if path.is_file()}
    assert kept
    (suite / "test_b.py").write_text("1 / 0\n")
    assert init(suite, "--print").stdout.endswith('fixtures = ["redis"] # 1 test\n')
    assert {path: path.read_bytes() for path in (suite / ".pytest_cache").rglob("*") if path.is_file()} == kept
    assert sorted(one.name for one in suite.iterdir() if one.name != "__pycache__") == [
        *(".git", ".pytest_cache", "pytest.ini", "test_a.py", "test_b.py"),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be an unknown user's")
def test_root_runs_no_suite_of_an_unknown_user(suite: Path) -> None:
    write(suite, {"conftest.py": "open('ran', 'w')\n"})
    done = init(suite, "--print", environment={"SUDO_UID": "abc"})
    assert done.returncode == 0
    assert "the tests are not known: it is not known who you are, and the suite is not to run as root" in done.stderr
    assert not (suite / "ran").exists()


def test_a_suite_that_hangs_is_ended(suite: Path) -> None:
    os.mkfifo(suite / "fifo")
    write(suite, {"conftest.py": "open('fifo')\n"})
    done = init(suite, "--collect-for", "3")
    assert "the tests are not known: pytest --collect-only took more than 3 s" in " ".join(done.stdout.split())
    with pytest.raises(OSError, match="No such device"):  # no process opens the FIFO for reading (fifo(7))
        os.open(suite / "fifo", os.O_WRONLY | os.O_NONBLOCK)


@pytest.mark.parametrize("name", ["svc-trace.toml", "pyproject.toml", "../svc-trace.toml"])
def test_a_configuration_is_not_overwritten(name: str, suite: Path) -> None:
    directory = suite / "package"
    directory.mkdir()
    (directory / name).write_text("[tool.svc-trace]\n" if "pyproject" in name else "# mine\n")
    before = {path: path.read_bytes() for path in suite.rglob("*.toml")}
    done = init(suite, "package")
    assert done.returncode == ExitStatus.CANNOT_WRITE
    assert "has a configuration already [configuration-exists]\n" in done.stderr
    assert "    # By `svc-trace init`" in done.stdout
    assert {path: path.read_bytes() for path in suite.rglob("*.toml")} == before
    assert init(suite, "package", "--print", "--collect-for", "0").returncode == 0


@pytest.mark.parametrize("before", ["tool = {other = {x = 1}}\n", "[tool]\nother.x = 1\n", ""])
def test_a_pyproject_that_cannot_be_extended_stays_as_it_is(before: str, suite: Path) -> None:
    write(suite, {"pyproject.toml": before})
    assert init(suite).returncode == 0
    extended = not before.startswith("tool =")
    assert (suite / "svc-trace.toml").exists() == (not extended)
    checked(suite, "pyproject.toml" if extended else "svc-trace.toml")
    assert (suite / "pyproject.toml").read_text().startswith(before)


def test_names_cannot_break_the_file(suite: Path) -> None:
    compose = {"services": {"a.b": {"image": 'x\n[services.evil] # "', "ports": ["7071:1"]}}}
    odd = "import pytest\n@pytest.fixture(name='redis \"\\n]\\x1b')\ndef redis(): pass\n"
    test = "import pytest\n@pytest.mark.usefixtures('redis \"\\n]\\x1b')\ndef test_it(): pass\n"
    write(suite, {"compose.yaml": json.dumps(compose), "conftest.py": odd, "test_it.py": test})
    done = init(suite)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in checked(suite)
    config = load_config(suite / "svc-trace.toml", suite)
    assert "evil" not in config.services
    assert config.rules.assumptions["redis"].fixtures == {'redis "\n]\x1b'}


@pytest.mark.kernel
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make users")
def test_under_sudo_all_is_the_users() -> None:
    """The suite is imported as the user, the file is the user's, and a link to a file of root's leads nowhere."""
    with new_user() as user, tempfile.TemporaryDirectory(dir="/tmp") as place:
        found, roots = user.home / "ids", Path(place) / "roots.toml"
        Path(place).chmod(0o755)
        conftest = f"import os\nopen({str(found)!r}, 'w').write(str(os.getresuid()))\n"
        write(user.home, {".git/x": "", "conftest.py": conftest})
        program = user.home / "venv" / "bin" / "pytest"
        program.write_text(f"#!/bin/sh\nexec {user.python} {user.home}/conftest.py\n")
        program.chmod(0o755)
        user.take_over()
        done = user.run("sudo", "-n", user.program, "init")
        assert done.returncode == 0, done.stderr
        assert found.read_text() == str((user.uid,) * 3)
        written = user.home / "svc-trace.toml"
        assert (written.stat().st_uid, written.stat().st_gid) == (user.uid, user.gid)
        written.unlink()
        for name in ("pyproject.toml", "svc-trace.toml"):
            for mode, status in ((0o600, ExitStatus.BAD_CONFIG), (0o644, ExitStatus.CANNOT_WRITE)):
                roots.write_text("[project]\n")
                roots.chmod(mode)
                (user.home / name).symlink_to(roots)
                done = user.run("sudo", "-n", user.program, "init")
                assert done.returncode in (status, ExitStatus.BAD_CONFIG), (name, mode, done.stderr)
                (user.home / name).unlink()
                assert roots.read_text() == "[project]\n"
        assert user.files_of_others() == []
        assert [*Path(place).iterdir()] == [roots]
