"""The JSON Schema of the configuration: it accepts what is read, and rejects unknown keys, wrong types and forms."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from configurations import BAD, LINES
from hypothesis import given
from jsonschema import Draft4Validator, Draft7Validator, Draft202012Validator

from tracer.classify.services.config import load_config
from tracer.classify.services.rules import PRESET_FILES
from tracer.classify.services.schema import configuration_schema
from tracer.errors import SvcTraceError

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "configuration.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
FILES = [
    *PRESET_FILES.glob("*.toml"),
    ROOT / "examples" / "shop" / "pyproject.toml",
    *(ROOT / "tests").rglob("svc-trace.toml"),
]
SCHEMA = configuration_schema()
VALIDATOR = Draft7Validator(SCHEMA)
ONLY_THE_CODE = {  # rejects these: a schema compares no keys with each other or with names, and knows no networks
    *(f'[services.postgres]\nports = ["{ports}"]' for ports in ("1-65536", "20-10")),
    *(
        f'[services.postgres]\nhosts = ["{host}"]'
        for host in ("10.0.0.5/8", "10.0.0.0/33", "10.0.0.256", "localhost:5432")
    ),
    *(f'[services.x]\npaths = ["/a"]\nprotocol = "{protocol}"' for protocol in ("redis", "http2")),
    "[services.postgres]\nignore = true",
    "[assumptions.postgress]",
    "[[tiers]]\nname = 'x'\nwithin = ['postgras']",
    "[[tiers]]\nname = 'x'\n[[tiers]]\nname = 'x'",
    "[[contracts]]\nmarker = 'a'\nservices = ['x']",
}


def problems(text: str, validator: Any = VALIDATOR) -> list[str]:  # noqa: ANN401 -- jsonschema's classes have no common type
    document = tomllib.loads(text)
    table = document["tool"]["svc-trace"] if "tool" in document else document
    return [error.message for error in validator.iter_errors(table)]


@pytest.mark.parametrize("draft", [Draft4Validator, Draft7Validator, Draft202012Validator])
def test_it_is_a_schema_of_every_draft(draft: Any) -> None:  # noqa: ANN401
    draft.check_schema(SCHEMA)
    assert problems("[services.redis]\nport = [1]", draft(SCHEMA))
    assert "$ref" not in json.dumps(SCHEMA)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_page_are_valid(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_configurations_of_the_project_are_valid(path: Path) -> None:
    assert problems(path.read_text()) == []


@pytest.mark.parametrize("text", [text for text, _, _ in BAD])
def test_what_the_code_rejects_is_not_valid(text: str) -> None:
    assert bool(problems(text)) == (text not in ONLY_THE_CODE)


@given(LINES)
def test_what_the_code_reads_is_valid(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "generated.toml"
    path.write_text(text)
    try:
        load_config(path, path.parent)
    except SvcTraceError:
        return
    assert problems(text) == []


def descriptions(schema: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 -- JSON
    """The keys of a schema, and their descriptions: `services.NAME.ports`."""
    inner = schema.get("additionalProperties") or schema.get("items") or {}
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field["description"]
        yield from descriptions(field, f"{path}{name}.")
    if "properties" in inner:
        yield from descriptions(inner, path)


def test_the_descriptions_are_those_of_the_page() -> None:
    """A key's is its row; a table's is a sentence of its section."""
    found = dict(descriptions(SCHEMA))
    assert {"extends", "services.ports", "assumptions.in_class", "contracts.fixture", "variants.parameters"} <= {*found}
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", DOCUMENT)  # without links
    for key, description in found.items():
        table, _, own = key.rpartition(".")
        section = re.search(rf"^## \w+: `[^\n]*{table or own}.*?(?=^## )", text, re.DOTALL | re.MULTILINE)
        assert section, key
        is_row = bool(own and table) or key == "extends"
        expected = f"| `{own}` | {description} |\n" if is_row else description
        assert expected in (section[0] if is_row else " ".join(section[0].split())), key


class TestTaplo:
    """The linter has the engine of editors' plug-ins."""

    @pytest.fixture
    def schema(self, tmp_path: Path) -> Path:
        path = tmp_path / "svc-trace.schema.json"
        path.write_text(json.dumps(SCHEMA))
        return path

    def lint(self, path: Path, text: str) -> str:
        path.write_text(text)
        taplo = Path(sys.executable).with_name("taplo")
        done = subprocess.run([taplo, "lint", path], capture_output=True, text=True, check=False, timeout=60)
        assert bool(done.returncode) == ("error" in done.stderr), done.stderr
        return done.stderr

    def test_a_file_names_its_schema(self, schema: Path) -> None:
        (example,) = (example for example in EXAMPLES if example.startswith("#:schema"))
        path = schema.with_name("svc-trace.toml")
        assert "error" not in self.lint(path, example)
        assert "'port' was unexpected" in self.lint(path, example.replace("ports", "port"))

    def test_a_pyproject_has_it_within_one_of_its_own(self, schema: Path) -> None:
        """What the page's line with jq makes."""
        own = schema.with_name("pyproject.schema.json")
        own.write_text(json.dumps({"properties": {"tool": {"properties": {"svc-trace": SCHEMA}}}}))
        text = "#:schema ./pyproject.schema.json\n[project]\nname = 'x'\n[tool.svc-trace.services.x]\nports = [1]\n"
        path = schema.with_name("pyproject.toml")
        assert "error" not in self.lint(path, text)
        assert "'port' was unexpected" in self.lint(path, text.replace("ports", "port"))
