from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from plain import plain

from tracer import __version__
from tracer.cli import COMMANDS, cli
from tracer.commands import main
from tracer.commands import run as run_command
from tracer.errors import ExitStatus
from tracer.record.capture.backends import BACKENDS
from tracer.trace.endpoint import Endpoint
from tracer.trace.file import TraceWriter
from tracer.trace.records import Attempt, End, Flow, Process, Run, Span, StaticFacts

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
POSTGRES = Endpoint("tcp", "127.0.0.1", 5432)
PROGRAM = (sys.executable, "-m", "tracer")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A run of one test, which sends to Postgres's port."""
    path = tmp_path / "run.svctrace"
    with TraceWriter(path) as writer:
        for record in (
            Run(("pytest",), "libbpf", "6.18.0", 1763676000.0, 0, "/project"),
            plain(Process)(1, 0, 4711, 0, "pytest"),
            StaticFacts("test_a.py", (), (), ()),
            plain(Span)(1, 0, 1, 4711, "test", 100, 900, "test_a.py::test_b"),
            plain(Span)(2, 1, 1, 4711, "call", 200, 800),
            plain(Flow)(
                1,
                4711,
                77,
                Endpoint("tcp", "127.0.0.1", 5432),
                (2,),
                300,
                400,
                sends=3,
                bytes=120,
                connects=1,
                established=1,
            ),
            plain(Attempt)(1, "test_a.py::test_b", 1, {}, ()),
            End(1000, 0, 0, 0),
        ):
            writer.write(record)
    return path


def svc_trace(*arguments: str | Path, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], cwd=directory, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pytest -q", {"command": ("pytest", "-q")}),
        ("-- pytest -o x --tests", {"command": ("pytest", "-o", "x", "--tests"), "list_tests": None}),
        ("-- report x", {"command": ("report", "x")}),
        ("run report", {"command": ("report",)}),
        ("pytest -- -x", {"command": ("pytest", "--", "-x")}),
        ("-o r.json --trace t -q pytest", {"output": Path("r.json"), "trace": Path("t"), "quiet": True}),
        ("--tests pytest", {"list_tests": (), "command": ("pytest",)}),
        ("--tests --service kafka --service=redis pytest", {"list_tests": ("kafka", "redis"), "command": ("pytest",)}),
        ("-o --tests pytest", {"output": Path("--tests"), "list_tests": None}),
        ("-qo r --tests pytest", {"output": Path("r"), "quiet": True, "list_tests": (), "command": ("pytest",)}),
        ("-or --tests pytest", {"output": Path("r"), "list_tests": (), "command": ("pytest",)}),
        ("--strict --backend libbpf pytest", {"strict": True, "backend": "libbpf"}),
        ("pytest", {"output": Path("svc-trace.json"), "trace": None, "config": None, "strict": False, "quiet": False}),
    ],
)
def test_what_is_no_command_is_a_command_line_to_run(
    line: str, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, object] = {}
    monkeypatch.setattr("tracer.commands.run.command.callback", values.update)
    assert main(line.split()) == 0
    assert {name: values[name] for name in expected} == expected


@pytest.mark.parametrize("word", ["validatx", "./validat", "directory/repor"])
def test_a_program_may_be_named_almost_like_a_command(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "validatx").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr("tracer.commands.run.command.callback", lambda **values: commands.append(values["command"]))
    assert main([word]) == main(["--", "validat"]) == main(["-q", "validat"]) == 0
    assert commands == [(word,), ("validat",), ("validat",)]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    output = capfd.readouterr().out
    assert re.findall(r"^  (\w+)  +[A-Z]", output, re.MULTILINE) == list(COMMANDS)


def test_the_version_is_printed() -> None:
    assert svc_trace("--version").stdout == f"svc-trace, version {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    section = re.search(rf"^## `svc-trace {name}`$(.*?)^## ", DOCUMENTED, re.MULTILINE | re.DOTALL)
    assert section
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    assert set(re.findall(r"(?<=`)--?[a-z0][a-z-]*", section[1])) >= options
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


def test_every_exit_status_is_documented() -> None:
    documented = dict(re.findall(r"^\| (\d+) \| `(\w+)` \|", DOCUMENTED, re.MULTILINE))
    assert documented == {str(status.value): status.name for status in ExitStatus}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"], prog_name="svc-trace")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: svc-trace {name} [OPTIONS]")


def test_a_trace_is_reported(trace: Path) -> None:
    result = svc_trace("report", trace, "--tests", "--service", "postgres")
    assert result.returncode == 0, result.stderr
    assert "postgres: 1 test\n  direct in call (1)\n    test_a.py::test_b\n" in result.stdout
    assert "svc-trace: 1 test in" in result.stdout
    assert result.stderr == ""


def test_a_trace_is_reported_in_process(trace: Path) -> None:
    result = CliRunner().invoke(cli, ["report", str(trace), "--format", "json"], standalone_mode=False)
    assert json.loads(result.stdout)["tests"]["test_a.py::test_b"]["services"] == ["postgres"]
    assert result.return_value == 0


def test_a_service_of_the_configuration_may_have_no_tests(trace: Path, tmp_path: Path) -> None:
    listed = ("--tests", "--service", "kafka", "--service", "orders")
    (tmp_path / "svc-trace.toml").write_text("[services.orders]\nports = [7070]\n")
    printed = svc_trace("report", trace, *listed, directory=tmp_path).stdout.partition("Combination")[0]
    assert "\nkafka: 0 tests\n\norders: 0 tests\n\nsvc-trace: 1 test in" in printed
    assert "postgres: 1 test\n" not in printed
    svc_trace("report", trace, "-o", tmp_path / "r.json")
    assert svc_trace("report", tmp_path / "r.json", *listed, directory=tmp_path).stdout.startswith(printed)
    assert svc_trace("report", tmp_path / "r.json", *listed).returncode == ExitStatus.USAGE


def test_a_cut_off_trace_is_reported_as_not_complete(trace: Path) -> None:
    partial = trace.with_name("run.svctrace.partial")
    partial.write_bytes(trace.read_bytes()[:-20])
    assert "NOT COMPLETE" in svc_trace("report", partial).stdout


def test_a_report_is_written_and_read_again(trace: Path, tmp_path: Path) -> None:
    output = tmp_path / "svc-trace.json"
    printed = svc_trace("report", trace, "--format=json", "-o", output).stdout
    assert output.read_text() == printed
    assert svc_trace("report", output, "--format=json").stdout == printed


def test_another_configuration_gives_other_services(trace: Path, tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text("[services.main-database]\nports = [5432]\n")
    result = svc_trace("report", trace, "--config", config, "--format=json")
    assert json.loads(result.stdout)["summary"]["services"] == {"main-database": 1}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--bogus"], "No such option '--bogus'"),
        (["run"], "Missing argument 'CMD...'"),
        (["--"], "Missing argument 'CMD...'"),
        (["--backend", "magic", "--", "true"], "'magic' is not one of 'auto', 'libbpf', 'bcc'"),
        (["report"], "Missing argument 'TRACE'"),
        (["report", "{trace}", "--format=json", "--tests"], "--tests works only with --format terminal"),
        (["report", "{trace}", "--format=sentry", "--directories=1"], "only with --format terminal or markdown"),
        (["report", "{trace}", "--service=postgres"], "--service needs --tests."),
        (["--service", "postgres", "true"], "--service needs --tests."),
        (["report", "{trace}", "--tests", "--service=postgers"], "no service 'postgers'. Did you mean 'postgres'?"),
        (["--tests", "--service", "kfka", "--", "true"], "There is no service 'kfka'. Did you mean 'kafka'?"),
        (["validat", "{trace}"], "There is no command 'validat'. Did you mean 'validate'?"),
        (["explian"], "To trace a program of this name, write: svc-trace -- explian"),
    ],
)
def test_wrong_usage_is_64(arguments: list[str], problem: str, trace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([argument.format(trace=trace) for argument in arguments]) == ExitStatus.USAGE
    error = capfd.readouterr().err
    assert error.startswith("Usage: svc-trace ")
    assert problem in error


def test_another_configuration_for_a_report_gives_what_it_gives_for_its_trace(trace: Path, tmp_path: Path) -> None:
    config, output = tmp_path / "other.toml", tmp_path / "r.json"
    config.write_text("[services.main-database]\nports = [5432]\n")
    assert svc_trace("report", trace, "-o", output).returncode == 0
    again = [
        json.loads(svc_trace("report", one, "--config", config, "--format=json").stdout) for one in (trace, output)
    ]
    for report in again:
        del report["generated_at"]
    assert again[0] == again[1]
    assert "main-database" in again[0]["summary"]["services"]


@pytest.mark.parametrize(
    ("text", "slug"), [("", "bad-report"), ('{"schema":"svc-trace-trace/9"}\n', "bad-trace"), (None, "cannot-read")]
)
def test_bad_input_is_65(tmp_path: Path, text: str | None, slug: str) -> None:
    path = tmp_path / "input"
    if text is not None:
        path.write_text(text)
    result = svc_trace("report", path)
    assert result.returncode == ExitStatus.BAD_INPUT
    assert re.fullmatch(rf"svc-trace: error: .*{re.escape(str(path))}.* \[{slug}\]\n  \S.*\n", result.stderr)
    assert result.stdout == ""


def test_an_output_that_cannot_be_written_is_73(trace: Path, tmp_path: Path) -> None:
    result = svc_trace("report", trace, "-o", tmp_path / "missing" / "r.json")
    assert result.returncode == ExitStatus.CANNOT_WRITE
    assert result.stderr.startswith(f"svc-trace: error: cannot write {tmp_path}/missing/r.json: No such file")


def test_a_bad_configuration_is_78_before_the_command_begins(tmp_path: Path) -> None:
    (tmp_path / "svc-trace.toml").write_text("[services.x]\nports = 'many'\n")
    result = svc_trace("--", "touch", "begun", directory=tmp_path)
    assert result.returncode == ExitStatus.BAD_CONFIG
    assert result.stderr.startswith("svc-trace: error: ")
    assert not (tmp_path / "begun").exists()


def test_a_machine_that_cannot_trace_is_69_before_the_command_begins(tmp_path: Path) -> None:
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    result = subprocess.run(
        [*unprivileged, *PROGRAM, "--backend", "libbpf", "--", "touch", "begun"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == ExitStatus.CANNOT_TRACE
    assert re.fullmatch(r"svc-trace: error: .* \[[a-z-]+\]\n  \S.*\n", result.stderr)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_is_130(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen([*PROGRAM, "report", fifo], stderr=subprocess.PIPE) as process:
        with fifo.open("wb"):  # returns when the other end is open, and so in the middle of the command
            process.send_signal(signal.SIGINT)
            _, error = process.communicate()
        assert (process.returncode, error) == (130, b"")


@pytest.mark.parametrize("form", ["terminal", "json"])
def test_a_reader_that_stops_reading_is_141(trace: Path, form: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = subprocess.run(
            [*PROGRAM, "report", trace, "--format", form], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (141, b"")


def test_an_unknown_exception_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its status is none of pytest's, which are 0 to 5."""
    broken = "import click\n@click.command()\ndef command(): raise LookupError('a bug')\n"
    (tmp_path / "broken_command.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("tracer.cli.COMMANDS", {"broken": "broken_command"})
    assert main(["broken"]) == ExitStatus.INTERNAL
    error = capfd.readouterr().err
    assert error.startswith("Traceback (most recent call last):\n")
    assert error.endswith("LookupError: a bug\n")


def test_every_backend_can_be_chosen() -> None:
    option = next(parameter for parameter in run_command.command.params if parameter.name == "backend")
    assert isinstance(option.type, click.Choice)
    assert [*option.type.choices] == ["auto", *BACKENDS]


def test_nothing_heavy_is_imported_before_the_command_begins() -> None:
    program = "import sys, tracer.cli, tracer.commands.run; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "click" in loaded
    assert not loaded & {"rich", "psutil", "msgspec", "tracer.classify", "tracer.reports", "tracer.record"}


def test_nothing_heavy_is_imported_before_the_probes_load() -> None:
    program = "import sys, tracer.record.capture.backends as it; it.BACKENDS['libbpf'](); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "tracer.record.capture.bpf.libbpf" in loaded
    assert not loaded & {"rich", "psutil", "msgspec", "subprocess", "tempfile", "tracer.classify", "tracer.reports"}


def test_libraries_for_host_names_are_imported_when_needed() -> None:
    """They take 16 ms and 4 ms. Few runs read answers of name servers, or speak HTTP/2."""
    program = """import sys, tracer.cli, tracer.record.run
from tracer.record.names.answers import names_in
from tracer.record.names.openings import host_in
names_in(bytes(40)), host_in(bytes(40))
print(*sys.modules)"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "tracer.record.names.answers" in loaded
    assert not loaded & {"dns", "hpack"}
