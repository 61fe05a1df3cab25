"""Fixture instances: scope, place and parameter."""

from __future__ import annotations

from pathlib import Path

from hook.suites import Environment, run
from tracer.record.boundary.messages import FixtureInstance


def test_an_instance_has_its_scope_place_and_parameter(environment: Environment, tmp_path: Path) -> None:
    reported = run(
        environment,
        tmp_path,
        """
        @pytest.fixture(scope="session")
        def session_wide(): yield
        @pytest.fixture(scope="module", params=["x", pytest.param(object(), id="y")])
        def module_wide(request): pass
        @pytest.fixture(scope="class")
        def class_wide(): pass
        @pytest.fixture
        def own(): yield

        class TestIt:
            @pytest.mark.parametrize(("a", "b"), [(1, 2)])
            def test_a(self, session_wide, class_wide, own, a, b): pass
        def test_b(module_wide): pass
        """,
    )
    instances = [message for message in reported.messages() if isinstance(message, FixtureInstance)]
    session_node = instances[0].node
    assert session_node in ("", ".")  # depends on the version of pytest
    assert [(instance.name, instance.scope, instance.node, instance.param) for instance in instances] == [
        ("session_wide", "session", session_node, None),
        ("class_wide", "class", "test_it.py::TestIt", None),
        ("own", "function", "test_it.py::TestIt::test_a[1-2]", None),
        ("module_wide", "module", "test_it.py", "x"),
        ("module_wide", "module", "test_it.py", "y"),
    ]
    assert {instance.baseid for instance in instances} == {"test_it.py"}
