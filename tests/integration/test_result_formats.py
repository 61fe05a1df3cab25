"""Formats of test results, compared with pytest's own file of the same run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.kernel

SUITE = {
    "tests/test_a.py": r"""
        import unittest
        import pytest

        @pytest.fixture
        def broken(): 1 / 0

        @pytest.fixture
        def ends_badly():
            yield
            1 / 0

        def test_passed(record_property): record_property("owner", "me")
        def test_failed(): 1 / 0
        def test_error(broken): ...
        def test_error_at_its_end(ends_badly): ...
        def test_skipped(): pytest.skip("why")
        @pytest.mark.xfail
        def test_xfailed(): 1 / 0
        @pytest.mark.xfail
        def test_xpassed(): ...
        @pytest.mark.parametrize("x", ["a::b", "[c]-]", "\x1b", "é😀", "a\nb", "<&'\">", " x "])
        def test_variants(x): ...
        class TestOne:
            class TestTwo:
                @pytest.mark.parametrize("x", [1, 2])
                def test_it(self, x): ...
        class Old(unittest.TestCase):
            def test_it(self): ...
        """,
    "tests/odd [1],é/test_b[2].py": "def test_it(): ...",
    "tests/text.txt": ">>> 1\n1\n",
    "pytest.ini": "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with pytest's file, `pytest.xml`, and the report of the same run, `svc-trace.json`."""
    directory = tmp_path_factory.mktemp("suite")
    for name, text in SUITE.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()))
    suite = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-glob=*.txt", "--junitxml=pytest.xml")
    done = subprocess.run(
        [sys.executable, "-m", "tracer", "-q", "--", sys.executable, *suite],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return directory


def report(directory: Path, form: str) -> Path:
    """The run's report in another format."""
    output = directory / form
    command = (sys.executable, "-m", "tracer", "report", "svc-trace.json", "--format", form, "-o", output)
    subprocess.run(command, cwd=directory, capture_output=True, check=True)
    return output


def ends(file: Path) -> dict[tuple[str, str], str]:
    """Class and name of each test → the element that says that it did not pass, or nothing."""
    found = {}
    for case in ElementTree.parse(file).iter("testcase"):
        (tag,) = [one.tag for one in case if one.tag != "properties"] or [""]
        found[case.attrib["classname"], case.attrib["name"]] = tag
    return found


def shapes(element: ElementTree.Element, path: str = "") -> Iterator[tuple[str, str]]:
    """The paths of elements, and the names of their attributes."""
    path = f"{path}/{element.tag}"
    yield from ((path, name) for name in element.attrib)
    for child in element:
        yield from shapes(child, path)


def test_junit_has_the_tests_of_pytests_file(results: Path) -> None:
    file = report(results, "junit")
    assert ends(file) == ends(results / "pytest.xml")
    assert len(ends(file)) == 19


def test_junit_has_only_elements_and_attributes_that_pytest_writes(results: Path) -> None:
    ours, pytests = (
        {*shapes(ElementTree.parse(file).getroot())} for file in (report(results, "junit"), results / "pytest.xml")
    )
    assert ours <= pytests
    assert ("/testsuites/testsuite/testcase/properties/property", "value") in ours


def test_junit_counts_as_pytest_does(results: Path) -> None:
    ours, pytests = (
        ElementTree.parse(file).getroot()[0].attrib for file in (report(results, "junit"), results / "pytest.xml")
    )
    counts = ("name", "tests", "failures", "errors", "skipped")
    assert {name: ours[name] for name in counts} == {name: pytests[name] for name in counts}
