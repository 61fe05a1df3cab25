"""docs/fleet.md lists the columns of each exported table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tracer.classify.model import Evidence, RunInfo, TestResult
from tracer.reports.history.schemas import EVIDENCE, RUNS, SCHEMAS, TESTS, VERSION

PAGE = (Path(__file__).parents[3] / "docs" / "fleet.md").read_text()


def documented(table: str) -> list[str]:
    """The rows of a table's section."""
    section = re.search(rf"^### `{table}`$.*?^\| --- .*?\n(.*?)^$", PAGE, re.MULTILINE | re.DOTALL)
    assert section
    return section[1].splitlines()


def row(column: Any) -> str:  # noqa: ANN401 -- pyarrow has no types
    kind = re.sub(r"element: | not null", "", str(column.type))
    meaning = column.metadata[b"description"].decode()
    return f"| `{column.name}` | `{kind}` | {meaning} | {'null' if column.nullable else ''} |"


@pytest.mark.parametrize("table", SCHEMAS)
def test_the_page_lists_the_columns(table: str) -> None:
    expected = [re.sub(" +", " ", row(column)) for column in SCHEMAS[table]]
    assert documented(table) == expected, "\n".join(expected)


def test_the_page_names_the_schema() -> None:
    assert f"`{VERSION}`" in PAGE
    assert all(schema.metadata == {b"schema": VERSION.encode()} for schema in SCHEMAS.values())


@pytest.mark.parametrize(
    ("schema", "record", "own", "left_out"),
    [
        (RUNS, RunInfo, {"generated_at", "total_tests", "merged_runs"}, set[str]()),
        (TESTS, TestResult, {"started_at", "nodeid"}, {"facts", "evidence", "runs", "set_ups"}),
        (EVIDENCE, Evidence, {"started_at", "nodeid", "used"}, set[str]()),
    ],
)
def test_a_new_field_of_the_report_is_a_column_or_left_out_on_purpose(
    schema: Iterable[Any], record: type[Struct], own: set[str], left_out: set[str]
) -> None:
    names = {column.name for column in schema}
    assert names == {*record.__struct_fields__} - left_out | own | {"repository"}
