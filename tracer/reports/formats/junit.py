"""Services, needs and tier of each test as properties in JUnit XML, to be joined with pytest's own file.

The elements, attributes and escapes are those that pytest writes with `--junitxml` (`xunit2`), after Jenkins' schema:
https://github.com/jenkinsci/xunit-plugin, `junit-10.xsd`. It has no properties of a test; pytest's `record_property`
writes them too, and Jenkins and GitLab read them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, TextIO
from xml.etree import ElementTree as ET

from tracer.classify.model import Classification, Outcome
from tracer.reports.formats.format import Document, Format
from tracer.reports.pages.summary import SummaryDocument
from tracer.reports.test_labels import Labels, names_of

_ELEMENTS: Final[Mapping[Outcome, str]] = {
    "failed": "failure",
    "error": "error",
    "interrupted": "error",
    "crashed": "error",
    "skipped": "skipped",
    "xfailed": "skipped",
    "not run": "skipped",
}
"""Outcome → the element of a test that did not pass."""
_INVALID: Final = re.compile("[^\t\n\r -~\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot contain (2.2), and DEL, as of pytest."""


def print_document(document: Document, file: TextIO) -> None:
    """Write the file of the summary's classification, with a test on each line."""
    assert isinstance(document, SummaryDocument)
    file.buffer.writelines(f"{line}\n".encode() for line in _lines(document.classification))


def _lines(one: Classification) -> Iterator[str]:
    elements = Counter(_ELEMENTS.get(test.outcome) for test in one.tests.values())
    suite = {
        "name": "pytest",
        "errors": str(elements["error"]),
        "failures": str(elements["failure"]),
        "skipped": str(elements["skipped"]),
        "tests": str(len(one.tests)),
        "time": f"{one.run.duration_s:.3f}",
        "timestamp": one.run.started_at,
    }
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield f'<testsuites name="pytest tests">{_text(_element("testsuite", suite)).removesuffix(" />")}>'
    labels = Labels(one)
    for nodeid, test in one.tests.items():
        path, *names = names_of(nodeid)
        *outer, name = (path.replace("/", ".").removesuffix(".py"), *names)  # as pytest: `a/b.py` is `a.b`
        case = _element("testcase", {"classname": ".".join(outer), "name": name, "time": f"{test.duration_s:.3f}"})
        properties = ET.SubElement(case, "properties")
        for label, values in labels.of(nodeid).items():
            properties.append(_element("property", {"name": label, "value": ", ".join(values)}))
        if test.outcome in _ELEMENTS:
            case.append(_element(_ELEMENTS[test.outcome], {"message": test.outcome}))
        yield _text(case)
    yield "</testsuite></testsuites>"


def _element(tag: str, attributes: Mapping[str, str]) -> ET.Element:
    return ET.Element(tag, {name: _INVALID.sub(_visible, value) for name, value in attributes.items()})


def _visible(character: re.Match[str]) -> str:
    """As pytest shows it: `#x1B`, in two or four digits."""
    number = ord(character[0])
    return f"#x{number:02X}" if number <= 0xFF else f"#x{number:04X}"


def _text(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode")


FORMAT: Final = Format("junit", "JUnit XML with services", print_document, document=SummaryDocument, kept=True)
