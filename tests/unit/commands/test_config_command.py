"""`svc-trace config`: what is in effect, as a configuration, and where each part comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tracer.classify.services.config import load_config
from tracer.classify.services.rules import PRESETS
from tracer.classify.services.schema import configuration_schema
from tracer.cli import cli

ROOT = Path(__file__).parents[3]
PYPROJECT = """
[tool.svc-trace]
extends = ["django"]

[tool.svc-trace.services.billing]
ports = [7070, "8000-8010"]
hosts = ["LOCALHOST", "10.0.0.0/8", "192.0.2.1", "::ffff:192.0.2.2", "*.example.com"]

[tool.svc-trace.services.redis]
start_up_s = 8

[tool.svc-trace.services.bigtable]

[tool.svc-trace.assumptions.billing]
markers = ["slow", "billing"]

[[tool.svc-trace.contracts]]
marker = "not billing"
services = ["redis", "billing"]

[tool.svc-trace.variants]
parameters = ["REGION"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a repository, in the working directory."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("SVC_TRACE_SUDO", "SVC_TRACE_MAX_INPUT_MB", "COMPOSE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def printed(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli, ["config", *map(str, arguments)], standalone_mode=False)
    assert (result.exception, result.return_value) == (None, 0)
    return result.stdout


def tables(text: str) -> dict[str, list[str]]:
    """The tables of the output: header with its comment → lines."""
    paragraphs = (paragraph.splitlines() for paragraph in text.split("\n\n"))
    return {first: lines for first, *lines in paragraphs if first.startswith("[")}


def test_each_part_has_its_origin(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT)
    text = printed()
    assert text.splitlines()[:5] == [
        "# The configuration in effect. As svc-trace.toml, it has the same effect.",
        "# Layers, of which a later one wins:",
        "#   preset default (built in)",
        "#   preset django (built in)",
        "#   pyproject.toml (the nearest file)",
    ]
    found = tables(text)
    assert [*found.items()][:2] == [
        (
            "[services.billing] # pyproject.toml:5",
            [
                'ports = [7070, "8000-8010"]',
                'hosts = ["localhost", "10.0.0.0/8", "192.0.2.1", "192.0.2.2", "*.example.com"]',
            ],
        ),
        ("[services.bigtable] # pyproject.toml:12", []),
    ]
    assert found["[services.redis] # preset default"] == [
        "ports = [6379, 26379]",
        'protocol = "redis"',
        "start_up_s = 8.0 # pyproject.toml:10",
    ]
    assert found["[assumptions.billing] # pyproject.toml:14"] == ['markers = ["billing", "slow"]']
    assert "[assumptions.postgres] # preset django" in found
    assert "[[tiers]] # preset django" in found
    assert "[[tiers]] # preset default" not in found
    assert found["[[contracts]] # pyproject.toml:17"] == ['marker = "not billing"', 'services = ["redis", "billing"]']
    assert found["[variants] # pyproject.toml:21"] == ['parameters = ["REGION"]']


def test_contracts_and_tiers_of_a_file_are_after_those_of_presets(project: Path) -> None:
    (project / "svc-trace.toml").write_text(
        'extends = ["scylla-cluster-tests"]\ntiers = [{name = "a"}]\n[[contracts]]\nmarker = "own"\nservices = "none"\n'
    )
    found = tables(printed())
    assert found["[[contracts]] # svc-trace.toml:3"] == ['marker = "own"', 'services = "none"']
    assert found["[[tiers]] # svc-trace.toml:2"] == ['name = "a"']
    assert "[[contracts]] # preset scylla-cluster-tests" in found


def test_without_a_file_it_says_where_it_was_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    text = printed()
    assert "# No svc-trace.toml and no [tool.svc-trace] in /" in text.splitlines()
    assert "[services.postgres] # preset default" in tables(text)


def test_a_file_that_was_given(project: Path) -> None:
    (project / "svc-trace.toml").write_text("")
    (project / "other.toml").write_text("[services.other]\nports = [1]\n")
    assert "#   other.toml (given by --config)" in printed("--config", "other.toml").splitlines()


def test_a_configuration_from_a_pipe(project: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file:
        file.write("[services.other]\nports = [1]\n")
    try:
        assert f"[services.other] # /dev/fd/{reading}" in tables(printed("--config", f"/dev/fd/{reading}"))
    finally:
        os.close(reading)


def test_the_environment_and_compose_files_count_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "compose.yaml").write_text("services: {search: {ports: ['9201:9200', '8000-8002:80-82/udp']}}")
    monkeypatch.setenv("SVC_TRACE_MAX_INPUT_MB", "7")
    lines = printed().splitlines()
    assert "# Environment: SVC_TRACE_MAX_INPUT_MB=7" in lines
    assert lines[-2:] == ["# compose.yaml: search: 9201/tcp", "# compose.yaml: search: 8000-8002/udp"]


@pytest.mark.parametrize(
    "text",
    [
        PYPROJECT,
        *(f'[tool.svc-trace]\nextends = ["{name}"]' for name in PRESETS),
        (ROOT / "examples" / "shop" / "pyproject.toml").read_text(),
        (ROOT / "tests/truth/scenarios/names/paths/svc-trace.toml").read_text(),
        '[services.x]\nunix = [\'@a"b\\c\', "@\\u0007\\u007f\\u0085\\u202e\\U0001f600\\U000e0041"]',
    ],
)
def test_the_output_has_the_same_effect(project: Path, text: str) -> None:
    path = project / ("pyproject.toml" if "tool.svc-trace" in text else "svc-trace.toml")
    path.write_text(text)
    before = load_config(path, project)
    output = printed()
    assert max(map(len, output.splitlines())) <= 80
    copy = project / "copy.toml"
    copy.write_text(output)
    after = load_config(copy, project)
    assert [*after.services.items()] == [*before.services.items()]
    assert after.rules == before.rules


def test_json_has_everything(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT)
    report = json.loads(printed("--format", "json"))
    assert (report["schema"], report["source"]) == ("svc-trace-config/1", str(project / "pyproject.toml"))
    assert report["layers"] == ["preset default", "preset django", str(project / "pyproject.toml")]
    assert report["configuration"]["services"]["redis"] == {
        "ports": [6379, 26379],
        "protocol": "redis",
        "start_up_s": 8.0,
    }
    assert report["origins"]["services.redis"] == "preset default"
    assert report["origins"]["services.redis.start_up_s"] == report["origins"]["contracts[0]"] == report["source"]
    assert (report["environment"], report["published"]) == ({}, [])
    assert (report["lines"]["services.redis"], report["lines"]["contracts[0]"]) == (9, 17)


def test_the_schema_is_printed() -> None:
    assert json.loads(printed("--schema")) == configuration_schema()
