"""Imports run down only: cli → commands → record | reports → classify → trace, and record → trace."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tracer").rglob("*.py"))
HOOK = ROOT / "tracer" / "record" / "boundary" / "svc_trace_hook"  # a package that is copied elsewhere
HOOK_MODULES = {path.stem for path in HOOK.glob("*.py")}

BELOW = {  # layer → the layers that it may import, besides itself
    "entry": {"cli", "commands", "errors"},
    "cli": {"commands", "version"},
    "commands": {"record", "reports", "classify", "trace", "errors", "version"},
    "record": {"trace", "errors", "version"},
    "reports": {"classify", "trace", "errors", "version"},
    "classify": {"trace", "errors", "version"},
    "trace": {"errors"},
    "errors": set[str](),
    "version": set[str](),
}
ENTRIES = (
    "tracer.__main__",
    "tracer.commands",
)  # main() calls the group; only __main__ calls main()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    if module in ENTRIES:
        return "entry"
    return module.split(".")[1] if "." in module else "version"


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, at its top or anywhere in it."""
    known = {module_of(file) for file in FILES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == (path.parent == HOOK and node.module in HOOK_MODULES), "imports are absolute"
            module = f"{module_of(HOOK)}.{node.module}" if node.level else str(node.module)
            for alias in node.names:
                name = f"{module}.{alias.name}"
                yield name if name in known else module


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_run_down_only(path: Path) -> None:
    layer = layer_of(module_of(path))
    own = {layer_of(name) for name in imports(path) if name.split(".")[0] == "tracer"}
    assert own - {layer} <= BELOW[layer]


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_python_is_started_isolated(path: Path) -> None:
    """Otherwise it imports modules from PYTHONPATH and the current directory, perhaps as root."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.List, ast.Tuple)):
            words = [ast.unparse(word) for word in node.elts]
            assert all(after == "'-I'" for word, after in pairwise([*words, ""]) if word == "sys.executable"), words


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_the_command_line_imports_click(path: Path) -> None:
    if layer_of(module_of(path)) not in ("entry", "cli", "commands"):
        assert not [name for name in imports(path) if name.split(".")[0] == "click"]


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_capture_knows_a_backend(path: Path) -> None:
    module = module_of(path)
    if module.startswith("tracer.record.refusal"):
        bpf = {f"tracer.record.capture.bpf.{name}" for name in ("features", "library", "programs")}
        assert {name for name in imports(path) if name.startswith("tracer.record.capture")} <= bpf
    elif not module.startswith("tracer.record.capture"):
        neutral = {f"tracer.record.capture.{name}" for name in ("protocol", "backends", "checks", "doctor")}
        capture = {name for name in imports(path) if name.startswith("tracer.record.capture")}
        assert capture <= neutral
        assert not {"ctypes", "bcc"} & set(imports(path))


def test_the_layers_are_the_packages() -> None:
    assert {layer_of(module_of(path)) for path in FILES} == set(BELOW)
