"""The hook's package: it runs in any supported pytest, from another directory."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tracer.record.boundary import svc_trace_hook

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
MODULES = sorted(Path(svc_trace_hook.__path__[0]).glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_of_it_runs_on_the_oldest_python_with_pytest_only(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    assert {name.partition(".")[0] for name in imported} <= {*sys.stdlib_module_names, "pytest"}
    assert "PYTEST_DONT_REWRITE" in str(ast.get_docstring(tree))


def test_any_python_can_parse_its_entry() -> None:
    """tests/integration/hook/test_loading.py imports it with the old Pythons that are installed."""
    source = Path(svc_trace_hook.__path__[0], "__init__.py").read_text(encoding="ascii")
    tree = ast.parse(source, feature_version=(3, 4))
    newer = (ast.FunctionDef, ast.ClassDef, ast.JoinedStr, ast.AnnAssign, ast.Starred, ast.Nonlocal)
    assert not [node for node in ast.walk(tree) if isinstance(node, newer)]
    assert "__future__" not in source


def test_it_imports_everything_at_once() -> None:
    """A test may change the path, the files or sys.modules afterwards."""
    for path in MODULES:
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTIONS)]
        nested = [node for function in functions for node in ast.walk(function)]
        assert not [node for node in nested if isinstance(node, ast.Import | ast.ImportFrom)], path
