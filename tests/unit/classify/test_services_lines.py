"""The lines of a TOML document."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tracer.classify.services.lines import lines_in

ROOT = Path(__file__).parents[3]
TEXT = '''# [a.comment]
extends = ["a", # ]
  "b"]

[services.redis] # [[x]]
ports = [
 1, "[", 3]
services."a.b" = {ports = [1]}

[[contracts]]
marker = "x#[\\""
text = """
[no]
"""
[[contracts]]
literal = '\\'
lines = \'\'\'
]\'\'\'
[services."c.d"]
'''


def test_lines_of_tables_and_keys() -> None:
    assert lines_in(TEXT) == {
        "extends": 2,
        "services": 5,
        "services.redis": 5,
        "services.redis.ports": 6,
        "services.redis.services": 8,
        "services.redis.services.a.b": 8,
        "services.redis.services.a.b.ports": 8,
        "contracts": 10,
        "contracts[0]": 10,
        "contracts[0].marker": 11,
        "contracts[0].text": 12,
        "contracts[1]": 15,
        "contracts[1].literal": 16,
        "contracts[1].lines": 17,
        "services.c.d": 19,
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_the_last_line_needs_no_end(end: str) -> None:
    assert lines_in(f"a = 1\r\nb = 2{end}") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "path", [*ROOT.glob("tracer/classify/services/presets/*.toml"), *ROOT.glob("*/*/*.toml"), ROOT / "pyproject.toml"]
)
def test_every_table_of_real_files_is_found(path: Path) -> None:
    text = path.read_text()
    found, lines = lines_in(text), text.splitlines()
    for name, value in tomllib.loads(text).items():
        for key in value if isinstance(value, dict) else ():
            assert key.split(".")[-1].strip() in lines[found[f"{name}.{key}"] - 1]
