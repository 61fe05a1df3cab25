"""Runs the code of docs/fleet.md in the engines that it names: DuckDB in this process, Spark in one of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from environments import environment_with

PAGE: Final = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text()
Rows = list[list[Any]]


def blocks(language: str, text: str = PAGE) -> list[str]:
    """The code in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def statements(text: str) -> list[str]:
    """The statements of a block of SQL; no text in it contains a semicolon."""
    return [one.strip() for one in text.split(";") if one.strip()]


DUCKDB_VIEWS, VIEWS = blocks("sql")[:2]
QUERIES: Final[Mapping[str, str]] = {
    heading: blocks("sql", section)[0]
    for heading, section in re.findall(r"^### ([^\n]*\?)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
}
"""The question in a heading → the query that answers it."""
(SPARK_VIEWS,) = blocks("python")

_SPARK: Final = """
import json, sys
for view in json.load(open(sys.argv[1]))["views"]:
    spark.sql(view)
answers = {name: [list(row) for row in spark.sql(query).collect()]
           for name, query in json.load(open(sys.argv[1]))["queries"].items()}
json.dump(answers, open(sys.argv[2], "w"), default=str)
"""


def in_duckdb(directory: Path, queries: Mapping[str, str]) -> dict[str, Rows]:
    """The rows of each query on the tables in `directory/history`, as JSON has them."""
    import duckdb

    before = Path.cwd()
    os.chdir(directory)
    try:
        with duckdb.connect() as connection:
            for view in statements(DUCKDB_VIEWS + VIEWS):
                connection.execute(view)
            answers = {name: connection.execute(query).fetchall() for name, query in queries.items()}
    finally:
        os.chdir(before)
    plain: dict[str, Rows] = json.loads(json.dumps(answers, default=str))
    return plain


def in_spark(directory: Path, queries: Mapping[str, str]) -> dict[str, Rows]:
    """The same in Spark, with one thread, in an environment that has PySpark. It needs Java."""
    python = environment_with(sys.executable, ("pyspark",))
    asked, answered, program = (directory / name for name in ("asked.json", "answered.json", "program.py"))
    one_statement = {name: query.strip().removesuffix(";") for name, query in queries.items()}
    asked.write_text(json.dumps({"views": statements(VIEWS), "queries": one_statement}))
    program.write_text(SPARK_VIEWS + _SPARK)
    subprocess.run(
        [python, program, asked, answered],
        cwd=directory,
        env=os.environ | {"PYSPARK_SUBMIT_ARGS": "--master local[1] --conf spark.ui.enabled=false pyspark-shell"},
        check=True,
    )
    answers: dict[str, Rows] = json.loads(answered.read_text())
    return answers


ENGINES: Final[Mapping[str, Callable[[Path, Mapping[str, str]], dict[str, Rows]]]] = {
    "duckdb": in_duckdb,
    "spark": in_spark,
}
"""Engine → its function. DuckDB comes first: without `--sql-engine`, only it is used."""
