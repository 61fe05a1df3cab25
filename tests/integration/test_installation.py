"""svc-trace, installed by a user in each usual way: what it imports and what it leaves when it runs as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from environments import environment_with
from launched import User, base_interpreter, new_user

from tracer.errors import ExitStatus

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make users and trace"),
]

NAMES = ("sitecustomize", "usercustomize", "tracer", "click", "psutil", "msgspec", "bcc", "runpy", "os", "json")


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", directory, ROOT)
    (built,) = directory.iterdir()
    return built


def pip(*arguments: str | Path, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments]
    subprocess.run(command, env=os.environ | environment, check=True)


def with_pip_in_an_environment(user: User, wheel: Path, base: str) -> Path:
    return user.home / "venv" / "bin" / "svc-trace"


def with_pip_from_a_clone(user: User, wheel: Path, base: str) -> Path:
    clone, environment = user.home / "clone", user.home / "editable"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(".*", "build", "tests", "examples", "__pycache__"))
    user.run(base, "-m", "venv", "--without-pip", str(environment))
    pip("--python", environment / "bin" / "python", "install", "--editable", clone)
    return environment / "bin" / "svc-trace"


def with_pip_for_one_user(user: User, wheel: Path, base: str) -> Path:
    pip("--python", base, "install", "--user", "--break-system-packages", "--ignore-installed", wheel,
        PYTHONUSERBASE=str(user.home / ".local"))  # fmt: skip
    return user.home / ".local" / "bin" / "svc-trace"


def with_uv(user: User, wheel: Path, base: str) -> Path:
    links = user.home / "uv" / "bin"
    uv = environment_with(sys.executable, ("uv",)).with_name("uv")
    places = {"UV_TOOL_DIR": str(user.home / "uv" / "tools"), "UV_TOOL_BIN_DIR": str(links), "UV_LINK_MODE": "copy"}
    subprocess.run([uv, "tool", "install", "-q", "--python", base, wheel], env=os.environ | places, check=True)
    return links / "svc-trace"


def with_pipx(user: User, wheel: Path, base: str) -> Path:
    links = user.home / "pipx" / "bin"
    pipx = (environment_with(sys.executable, ("pipx",)), "-m", "pipx")
    places = {"PIPX_HOME": str(user.home / "pipx"), "PIPX_BIN_DIR": str(links), "PIPX_MAN_DIR": str(links)}
    subprocess.run([*pipx, "install", "--quiet", "--python", base, wheel], env=os.environ | places, check=True)
    return links / "svc-trace"


Way = Callable[[User, Path, str], Path]
WAYS: tuple[Way, ...] = (with_pip_in_an_environment, with_pip_from_a_clone, with_pip_for_one_user, with_uv, with_pipx)


@pytest.fixture(scope="module")
def commands() -> dict[Way, Path]:
    """What is installed already."""
    return {}


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def installed(request: pytest.FixtureRequest, user: User, wheel: Path, commands: dict[Way, Path]) -> Path:
    """The path of an installed command `svc-trace`, without any bytecode, as uv installs it."""
    way: Way = request.param
    if way not in commands:
        commands[way] = way(user, wheel, base_interpreter(user.uid, user.gid))
    for directory in [*user.home.rglob("__pycache__")]:
        shutil.rmtree(directory)
    user.take_over()
    return commands[way]


@pytest.fixture
def hostile(user: User) -> Iterator[Path]:
    """A directory with modules that leave a file where they are imported."""
    directory = user.home / "hostile"
    directory.mkdir()
    for name in NAMES:
        (directory / f"{name}.py").write_text(f"open({str(directory / name)!r} + '.imported', 'w')\n")
    user.take_over()
    yield directory
    shutil.rmtree(directory)


def imported(directory: Path) -> list[str]:
    return sorted(path.stem for path in directory.glob("*.imported"))


def test_root_imports_nothing_of_the_users_and_writes_nothing_there(user: User, installed: Path, hostile: Path) -> None:
    """Where sudo keeps PYTHONPATH. Python searches the current directory and the user's own packages, too."""
    assert_root_is_isolated(user, installed, hostile, "libbpf")


def test_no_backend_imports_anything_of_the_users(user: User, hostile: Path, backend: str) -> None:
    """Two of them start Python again: bcc, and strace for the starter."""
    assert_root_is_isolated(user, user.home / "venv" / "bin" / "svc-trace", hostile, backend)


def assert_root_is_isolated(user: User, command: Path, hostile: Path, backend: str) -> None:
    trace = f'exec sudo -n env "PYTHONPATH=$PWD" {command} -q --backend {backend} -o /dev/null -- env'
    done = user.run("sh", "-c", f"cd {hostile} && {trace}")
    assert done.returncode == 0, done.stderr
    (path,) = [line for line in done.stdout.decode().splitlines() if line.startswith("PYTHONPATH=")]
    assert path.partition(":")[2] == str(hostile)
    assert imported(hostile) == []
    assert user.files_of_others() == []


def test_without_root_it_imports_nothing_of_the_users_either(user: User, installed: Path, hostile: Path) -> None:
    own = user.environment | {"PYTHONPATH": str(hostile)}
    done = user.run("sh", "-c", f"cd {hostile} && exec {installed} --version", env=own)
    assert (done.returncode, done.stderr) == (0, b"")
    assert imported(hostile) == []


def test_the_command_gets_the_environment_unchanged(user: User, installed: Path) -> None:
    """Also variables that a shell would drop or add."""
    own = {"PATH": user.environment["PATH"], "LANG": "C.UTF-8", "discovery.type": "single-node", "PYTHONPATH": "src"}
    done = user.run(str(installed), "-q", "-o", "/dev/null", "--backend", "strace", "--", "env", env=own)
    assert done.returncode == 0, done.stderr
    environment = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    assert environment.pop("PYTHONPATH").endswith(":src")
    for added in ("SVC_TRACE_FIFO", "PIP_EXCLUDE"):
        del environment[added]
    assert environment == {name: value for name, value in own.items() if name != "PYTHONPATH"}


def test_the_hint_names_the_command_that_was_started(user: User, installed: Path) -> None:
    done = user.run(str(installed), "--backend", "libbpf", "--", "true")
    assert f" {installed.resolve()} --sudo -- " in done.stderr.decode()


def assert_no_interpreter(done: subprocess.CompletedProcess[bytes]) -> None:
    assert done.returncode == ExitStatus.CANNOT_TRACE
    wrong, hint = done.stderr.decode().splitlines()
    assert wrong.endswith("[no-interpreter]")
    assert "pipx" in hint


def test_a_command_without_its_python_is_an_error(user: User) -> None:
    python = Path(user.python)
    hidden = python.rename(python.with_name("hidden"))
    try:
        assert_no_interpreter(user.run(str(python.with_name("svc-trace")), "--version"))
    finally:
        hidden.rename(python)


def test_a_copy_of_the_command_is_an_error(user: User) -> None:
    copy = str(shutil.copy(user.home / "venv" / "bin" / "svc-trace", user.home))
    assert_no_interpreter(user.run(copy, "--version"))


def test_python_m_tracer_starts_again_isolated(user: User) -> None:
    """A module in the current directory has the name of one that svc-trace imports."""
    (user.home / "click.py").write_text("raise RuntimeError\n")
    try:
        done = user.run(user.python, "-m", "tracer", "--version")
    finally:
        (user.home / "click.py").unlink()
    assert (done.returncode, done.stderr) == (0, b"")
