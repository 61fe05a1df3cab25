from __future__ import annotations

import pytest
from suites import result

from tracer.classify.directories import count_by_directory, directory_of
from tracer.classify.model import Directory
from tracer.classify.services.rules import Tier

TIERS = (
    Tier("no_services", within=frozenset()),
    Tier("postgres_only", within=frozenset({"postgres"})),
    Tier("snuba_tier", any=frozenset({"snuba"})),
)
TESTS = {
    "test_top.py::x": result(),
    "tests/sentry/test_a.py::x": result(["postgres"]),
    "tests/snuba/test_a.py::x[a/b]": result(["postgres"]),
    "tests/snuba/api/test_b.py::x": result(["postgres", "snuba"]),
    "tests/snuba/api/test_b.py::y": result(["kafka"]),
}


@pytest.mark.parametrize(
    ("nodeid", "directory"),
    [
        ("a.py::x", "."),
        ("tests/a.py::X::x[b/c::d]", "tests"),
        ("tests/deep/er/a.py", "tests/deep/er"),
        ("../other/a.py::x", "../other"),
    ],
)
def test_the_directory_of_a_test(nodeid: str, directory: str) -> None:
    assert directory_of(nodeid) == directory


def test_a_folder_has_what_is_below_it() -> None:
    assert count_by_directory(TESTS, TIERS) == {
        ".": Directory(
            5,
            {"postgres": 3, "kafka": 1, "snuba": 1},
            {"no_services": 1, "postgres_only": 2, "snuba_tier": 1, "other": 1},
        ),
        "tests": Directory(
            4, {"postgres": 3, "kafka": 1, "snuba": 1}, {"postgres_only": 2, "snuba_tier": 1, "other": 1}
        ),
        "tests/sentry": Directory(1, {"postgres": 1}, {"postgres_only": 1}),
        "tests/snuba": Directory(
            3, {"postgres": 2, "kafka": 1, "snuba": 1}, {"postgres_only": 1, "snuba_tier": 1, "other": 1}
        ),
        "tests/snuba/api": Directory(2, {"kafka": 1, "postgres": 1, "snuba": 1}, {"snuba_tier": 1, "other": 1}),
    }
    assert list(count_by_directory(TESTS, TIERS)) == [".", "tests", "tests/sentry", "tests/snuba", "tests/snuba/api"]


@pytest.mark.parametrize(
    ("depth", "tests"),
    [
        (1, {".": 1, "tests": 4}),
        (2, {".": 1, "tests/sentry": 1, "tests/snuba": 3}),
        (9, {".": 1, "tests/sentry": 1, "tests/snuba": 1, "tests/snuba/api": 2}),
    ],
)
def test_down_to_a_depth_each_test_is_in_one_folder(depth: int, tests: dict[str, int]) -> None:
    counted = count_by_directory(TESTS, TIERS, depth=depth)
    assert {folder: directory.tests for folder, directory in counted.items()} == tests


def test_no_tests_have_no_folders() -> None:
    assert count_by_directory({}, TIERS) == {}
