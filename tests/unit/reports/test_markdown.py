from __future__ import annotations

from typing import Any

import large_suite
import pytest
from msgspec.structs import replace

from tracer.classify.model import Classification, Summary, Variants
from tracer.reports.formats.markdown import code, render, table, text
from tracer.reports.pages.summary import SummaryDocument
from tracer.trace.records import RunWarning

PAGE = """
svc-trace: **2,000 tests** in 14 min 32 s, traced by libbpf: **complete**

1,973 passed, 4 failed, 23 skipped

| Service | Tests | % |
| --- | ---: | ---: |
| postgres | 2,000 | 100% |
| redis | 1,000 | 50% |
| snuba | 400 | 20% |
| kafka | 286 | 14% |
| redis-cluster | 50 | 2.5% |
| symbolicator | 14 | 0.7% |
| objectstore | 10 | 0.5% |
| bigtable | 8 | 0.4% |
| clickhouse | 7 | 0.3% |
| memcached | 5 | 0.2% |
| smtp | 4 | 0.2% |
| statsd | 2 | 0.1% |
| (unknown) | 7 | 0.3% |

| Tier | Tests | % |
| --- | ---: | ---: |
| no_services | 0 | 0% |
| postgres_only | 800 | 40% |
| snuba_tier | 400 | 20% |
| other_services | 800 | 40% |

| Directory | Tests | Services | Tiers |
| --- | ---: | --- | --- |
| `tests/sentry` | 2,000 | postgres 2,000 (100%), redis 1,000 (50%), snuba 400 (20%), kafka 286 (14%), \
redis-cluster 50 (2.5%), and 8 more | snuba_tier 400 (20%), other_services 1,600 (80%) |

* **Unknown endpoints**: tcp://10.0.3.0:7000 (1 test), tcp://10.0.3.1:7001 (1 test), tcp://10.0.3.2:7002 (1 test), \
tcp://10.0.3.3:7003 (1 test), tcp://10.0.3.4:7004 (1 test), and 2 more
* **Self-hosted**: http (20 tests)
* **Only ambient**: kafka (286 tests)
* **Outside of tests**: postgres (31 sends), redis (1 send)

| Assumptions | Confirmed | Blind spots | Over-assumptions |
| --- | ---: | ---: | ---: |
| postgres | 2,000 | 0 | 0 |
| kafka | 20 | **266** | 2 |
"""


@pytest.fixture
def sample() -> Classification:
    return large_suite.classification()


def page(classification: Classification, directories: int = 2) -> str:
    return "".join(render(SummaryDocument(classification, depth=directories).page()))


def test_the_page(sample: Classification) -> None:
    assert page(sample) == PAGE


def test_directories_are_shown_down_to_a_depth(sample: Classification) -> None:
    assert "| `tests` | 2,000 |" in page(sample, 1)
    assert "| `tests/sentry/api/endpoints` | 2,000 |" in page(sample, 9)


def test_a_run_without_tests_has_no_tables(sample: Classification) -> None:
    empty = replace(sample, tests={}, summary=Summary(0, {}, {}), validation={}, run_evidence=())
    assert page(empty) == "\nsvc-trace: **no tests** in 14 min 32 s, traced by libbpf: **complete**\n"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (
            {"complete": False, "lost_events": 7},
            "\n**7 events lost: tests may use more services than this report shows. "
            "Run it again with fewer workers at a time.**\n",
        ),
        (
            {"warnings": (RunWarning("no-hook", "no *pytest*", "do"),)},
            "\n> **warning**: no \\*pytest\\* \\[no-hook\\] do\n",
        ),
    ],
)
def test_problems_are_shown(sample: Classification, changes: dict[str, Any], shown: str) -> None:
    output = page(replace(sample, run=replace(sample.run, **changes)))
    assert shown in output
    assert ("**NOT COMPLETE**" in output) == ("complete" in changes)


def test_several_runs_are_counted(sample: Classification) -> None:
    assert page(replace(sample, runs=(sample.run,) * 22)).startswith(
        "\nsvc-trace: **2,000 tests** of 22 runs in 14 min 32 s,"
    )


def test_variants_that_differ_are_listed(sample: Classification) -> None:
    differing = {f"t{n}": {f"t{n}[CONTROL|x]": (), f"t{n}[REGION]": ("redis",)} for n in range(7)}
    output = page(replace(sample, variants=Variants(12, differing)))
    assert "\n### Variants: 12 tests compared, 7 use different services\n" in output
    assert "\nt0\n\n* `t0[CONTROL\\|x]`: none\n* `t0[REGION]`: redis\n" in output
    assert "\nand 2 more tests\n" in output


@pytest.mark.parametrize(
    ("plain", "written"),
    [
        ("postgres_only, redis-cluster", "postgres_only, redis-cluster"),
        ("_a_ *b* [c](d) <e> `f` g|h \\", r"\_a\_ \*b\* \[c\](d) \<e\> \`f\` g\|h \\"),
        ("a\nb\udce9\x1b", r"a\\nb\\udce9\\x1b"),
    ],
)
def test_text_is_no_markup(plain: str, written: str) -> None:
    assert text(plain) == written


@pytest.mark.parametrize(
    ("plain", "written"),
    [
        ("a.py::x[1]", "`a.py::x[1]`"),
        ("a|b", r"`a\|b`"),
        ("a`b``c", "```a`b``c```"),
        ("`a", "`` `a ``"),
        ("a\nb", r"`a\nb`"),
        ("", "`  `"),
    ],
)
def test_code_stays_what_it_is(plain: str, written: str) -> None:
    assert code(plain) == written


def test_a_table() -> None:
    assert "".join(table(("A", "B"), [("x", "1")], "lr")) == "\n| A | B |\n| --- | ---: |\n| x | 1 |\n"
