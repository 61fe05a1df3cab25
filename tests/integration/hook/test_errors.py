"""An error in any function of the hook turns the hook off, and pytest does not notice it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

from hook.suites import Environment, run
from tracer.record.boundary import svc_trace_hook
from tracer.record.run_directory import RunDirectory

HOOK: Final = Path(svc_trace_hook.__path__[0])
GUARDS: Final = {"safely", "turn_off"}
UNREACHED: Final = {
    *("Channel._wait", "NotRun.__init__", "Results._count", "Tests.report_not_run"),
    *("Trial._pass_on", "plain_nodeid", "_group", "_is_empty"),
}
"""Functions that the suite does not need: the pipe is never full, its tests run, without xdist and packages."""
SUITE: Final = """
@pytest.fixture(scope="module", params=["a", object()])
def wide(request):
    request.addfinalizer(lambda: None)
    yield
@pytest.fixture
def own(wide, request):
    request.getfixturevalue("late")
@pytest.fixture
def late(wide): pass
@pytest.fixture(scope="module")
def broken(): raise ValueError

class TestIt:
    def test_it(self, own): pass
@pytest.mark.forked
def test_in_child(own): pass
def test_broken(broken): pass
def test_fails(): assert 0
def test_late(request): request.getfixturevalue("wide")
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.xfail
def test_xfail(): assert 0
@pytest.mark.parametrize("x", ["x" * 5000])
def test_long_name(x): pass
def test_interrupt(): raise KeyboardInterrupt
"""


def places() -> Iterator[tuple[str, str, int]]:
    """Module, function and the line of its first guarded statement, for all functions that the guards call.

    A function that contains the guard itself is broken inside it. Those that only call guarded functions are left out.
    So is the module of `svc-trace init`, which no run loads.
    """
    for path in sorted({*HOOK.glob("*.py")} - {HOOK / "listing.py"}):
        tree = ast.parse(path.read_text())
        if path.name != "__init__.py":
            yield path.name, "import", next(node for node in tree.body if isinstance(node, ast.Assign)).lineno
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        names = {method: f"{each.name}.{method.name}" for each in classes for method in functions(each.body)}
        for node in functions(ast.walk(tree)):
            if node.name not in GUARDS:
                body = node.body
                guards = [each for each in body if isinstance(each, ast.Try) and "turn_off()" in ast.unparse(each)]
                if guards:
                    body = guards[0].body
                elif any(isinstance(each, ast.Yield) or is_guard(each) for each in own_nodes(node)):
                    continue
                elif ast.get_docstring(node):
                    body = body[1:]
                yield path.name, names.get(node, node.name), body[0].lineno


def functions(nodes: Iterable[ast.AST]) -> list[ast.FunctionDef]:
    return [node for node in nodes if isinstance(node, ast.FunctionDef)]


def own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions and classes within it."""
    nodes: list[ast.AST] = [*function.body]
    for node in nodes:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            nodes.extend(ast.iter_child_nodes(node))


def is_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "safely"


@pytest.fixture(scope="session")
def bare(oldest: Environment, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    """How the suite ends without the hook, and with the hook as it is."""
    directory = tmp_path_factory.mktemp("bare")
    begin_trial(directory)
    reported = run(oldest, directory, SUITE, "-q", "-rA")
    status, output = oldest.run(directory / "suite", "-q", "-rA", fifo=None)
    assert (reported.status, summary(reported.output), reported.off) == (status, summary(output), False)
    return status, summary(output)


def begin_trial(directory: Path) -> None:
    """Make the run a run of a trial, so that it needs more of the hook."""
    (directory / "trial").write_text("null")


def summary(output: str) -> str:
    """The outcome of each test."""
    return "\n".join(sorted(line for line in output.splitlines() if line.startswith(("PASSED", "FAILED", "ERROR"))))


@pytest.mark.parametrize(("module", "function", "line"), list(places()))
def test_an_error_is_not_noticed(
    oldest: Environment, tmp_path: Path, bare: tuple[int, str], module: str, function: str, line: int
) -> None:
    with RunDirectory() as directory:
        broken = directory.path / "plugins" / "svc_trace_hook" / module
        lines = broken.read_text().splitlines()
        indent = lines[line - 1][: -len(lines[line - 1].lstrip())]
        lines.insert(line - 1, f"{indent}raise RuntimeError('injected')")
        broken.write_text("\n".join(lines))
        begin_trial(tmp_path)
        reported = run(Environment(oldest.python, directory), tmp_path, SUITE, "-q", "-rA")
    assert (reported.status, summary(reported.output)) == bare, reported.output
    assert "injected" not in reported.output
    assert reported.off == (function not in UNREACHED)
