"""The page of a report in Chromium: content, filters, links, the view of a test, keyboard, print."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from suites import RUN, classification, evidence, facts, refused, result, verdict, verification

from browser.conftest import Open
from tracer.classify.merge import merge
from tracer.classify.model import Classification
from tracer.classify.services.rules import AssumptionRule, Contract, Rules, Tier
from tracer.reports import blocks
from tracer.reports.pages import explain
from tracer.reports.pages.summary import SummaryDocument

RULES = Rules(
    {"kafka": AssumptionRule(markers=frozenset({"kafka"})), "postgres": AssumptionRule(fixtures=frozenset({"db"}))},
    (Tier("none", within=frozenset()), Tier("rest")),
    (Contract("path", "tests/unit/**", "none"),),
)


def suite() -> Classification:
    """12 tests in two directories, with a finding of each kind and verdicts."""
    db = evidence("postgres", phase="setup", fixture="db")
    call = replace(evidence("postgres"), first_s=0.2)
    pool = replace(evidence("kafka", via="fixture:producer@tests", phase="setup", fixture="producer"), first_s=3.5)
    tests = {
        f"tests/api/test_orders.py::TestOrders::test_save[{n}]": result(["postgres"], facts=0, evidence=[db, call])
        for n in range(5)
    }
    tests["tests/api/test_orders.py::test_publish"] = result(
        ["kafka", "postgres"], outcome="failed", facts=3, evidence=[db, pool]
    )
    tests["tests/api/test_events.py::test_encode"] = result([], facts=1)
    tests["tests/api/test_events.py::test_send"] = result(["kafka"], facts=1, evidence=[evidence("kafka")])
    gone = refused("unknown:tcp://127.0.0.1:5432")
    tests["tests/unit/test_price.py::test_tax"] = result([gone.service], facts=2, evidence=[gone])
    for name in ("test_sum", "test_discount"):
        tests[f"tests/unit/test_price.py::{name}"] = result(facts=2, outcome="skipped")
    tests["tests/unit/test_price.py::test_vat"] = replace(result(facts=2), duration_s=12.5)
    known = [
        facts("tests/api/test_orders.py", fixtures=["db"]),
        facts("tests/api/test_events.py", markers=["kafka"]),
        facts("tests/unit/test_price.py"),
        facts("tests/api/test_orders.py", fixtures=["db", "producer"]),
    ]
    verdicts = {nodeid: verdict("needs" if "save" in nodeid else "tolerates", "postgres") for nodeid in [*tests][:6]}
    return replace(classification(tests, known, RULES), verified=(verification(verdicts, "postgres"),))


SUITE = suite()
PUBLISH = "tests/api/test_orders.py::test_publish"


def names(page: Page) -> list[str]:
    """The node ids that the list shows."""
    found: list[str] = page.locator("#list .rows a").evaluate_all("links => links.map((link) => link.title)")
    return found


def count(page: Page) -> str:
    return page.locator("#filters .count").inner_text()


def test_the_page_shows_the_suite_at_a_glance(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    expect(page.get_by_role("heading", level=1)).to_contain_text("12 tests in 1.50 s, traced by libbpf: complete")
    glance = page.locator("#glance")
    expect(glance.get_by_role("row", name="kafka + postgres 1 8.3% 0.25 s")).to_be_visible()
    expect(glance.get_by_role("row", name="postgres 6 50% 1.50 s")).to_be_visible()
    expect(glance.get_by_role("row", name="10 s – 30 s 1 8.3% 12 s")).to_be_visible()
    for text in ("1 blind spot", "1 over-assumption", "1 broken contract", "1 unknown endpoint"):
        expect(glance.get_by_role("link", name=text, exact=True)).to_be_visible()


def test_findings_come_with_evidence_and_a_rule_to_copy(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    problem = page.get_by_role("article").filter(has_text="kafka: 1 blind spot")
    expect(problem).to_contain_text("in the setup of fixture producer (defined in tests), the test's thread sent to")
    page.evaluate("window.setTimeout = () => 0")  # after 1.5 s, it would be "Copy" again
    problem.get_by_role("button", name="Copy").click()
    expect(problem.get_by_role("button")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == problem.locator("pre").inner_text().splitlines()
    assert copied.startswith("[assumptions.kafka]\n")
    problem.get_by_role("link", name=PUBLISH).click()
    expect(page.get_by_role("dialog")).to_contain_text("No rule claims that it uses kafka: a blind spot.")


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("#q=SAVE orders", 5),
        ("#service=kafka", 2),
        ("#service=(unknown)", 1),
        ("#exactly=kafka,postgres", 1),
        ("#exactly=", 4),
        ("#dir=tests/unit", 4),
        ("#dir=tests/api/test_orders.py::TestOrders", 5),
        ("#fixture=db", 6),
        ("#outcome=skipped", 2),
        ("#tier=none", 4),
        ("#finding=blind-spots:kafka", 1),
        ("#finding=over-assumed", 1),
        ("#finding=contracts:path:tests/unit/**=none", 1),
        ("#verdict=needs:postgres", 5),
        ("#verdict=tolerates", 1),
        ("#from=10&to=30", 1),
        ("#service=postgres&outcome=failed", 1),
        ("#q=nothing has this name", 0),
        ("#q=%", 0),
    ],
)
def test_an_address_selects_tests(opened: Open, fragment: str, expected: int) -> None:
    page = opened(SummaryDocument(SUITE), fragment)
    assert count(page).startswith(f"{expected} test{'' if expected == 1 else 's'} of 12")
    assert len(names(page)) == expected
    expect(page.get_by_text("No test matches these filters.")).to_be_visible(visible=expected == 0)


def test_filters_of_the_form_stand_in_the_address(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    page.get_by_role("combobox", name="Service").select_option("postgres")
    page.get_by_label("Search").fill("orders test")
    page.get_by_role("combobox", name="Outcome").select_option("failed")
    assert names(page) == [PUBLISH]
    assert page.evaluate("location.hash") == "#q=orders+test&service=postgres&outcome=failed"
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert names(page) == [PUBLISH]
    expect(page.get_by_label("Outcome")).to_have_value("failed")
    page.get_by_role("button", name="Clear all filters").click()
    assert count(page).startswith("12 tests,")
    expect(page.get_by_label("Search")).to_have_value("")


def test_a_filter_without_a_field_can_be_removed(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE), "#exactly=postgres&outcome=passed")
    page.get_by_role("button", name="Remove the filter: uses exactly postgres").click()
    assert page.evaluate("location.hash") == "#outcome=passed"


def test_the_back_button_returns_to_the_filters_before(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    page.locator("#glance").get_by_role("link", name="kafka + postgres").click()
    assert names(page) == [PUBLISH]
    page.get_by_role("link", name=PUBLISH).last.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert names(page) == [PUBLISH]
    page.go_back()
    assert count(page).startswith("12 tests,")


def test_the_list_is_sorted_by_its_columns(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    table = page.get_by_role("table", name="Tests", exact=True)
    time = table.get_by_role("columnheader", name="Time")
    time.get_by_role("button").click()
    assert names(page)[0] == "tests/unit/test_price.py::test_vat"
    expect(time).to_have_attribute("aria-sort", "descending")
    table.get_by_role("columnheader", name="Test").get_by_role("button").click()
    assert names(page) == sorted(SUITE.tests)
    time.get_by_role("button").click()
    time.get_by_role("button").click()
    time.get_by_role("button").click()
    assert names(page) == [*SUITE.tests]


def test_the_matrix_opens_down_to_classes(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    matrix = page.get_by_role("table", name="Tests of each directory, file and class, by service")
    expect(matrix.get_by_role("row", name="TestOrders")).to_have_count(0)
    api = matrix.get_by_role("row").filter(has=page.get_by_role("link", name="tests/api/", exact=True))
    cells = api.get_by_role("cell").all_inner_texts()
    assert cells[0] == "8"
    heads = matrix.get_by_role("columnheader").all_inner_texts()
    assert dict(zip(heads[1:], cells, strict=True)) | {"Time": ""} == {
        "Tests": "8", "Time": "", "no service": "1", "postgres": "6", "kafka": "2", "(unknown)": "·"
    }  # fmt: skip
    show = page.get_by_role("button", name="Show the parts of tests/api/test_orders.py")
    expect(show).to_have_attribute("aria-expanded", "false")
    show.click()
    matrix.get_by_role("row", name="TestOrders").get_by_role("link", name="5").click()
    assert page.evaluate("location.hash") == "#service=postgres&dir=tests/api/test_orders.py::TestOrders"
    assert len(names(page)) == 5
    show.click()
    expect(matrix.get_by_role("row", name="TestOrders")).to_have_count(0)


def test_each_column_of_the_matrix_sorts(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    matrix = page.get_by_role("table", name="Tests of each directory, file and class, by service")

    def rows() -> list[str]:
        return matrix.locator("tbody th").all_inner_texts()

    api, unit = ["tests/api/", "test_events.py", "test_orders.py"], ["tests/unit/", "test_price.py"]
    page.get_by_role("button", name="Show the parts of tests/api", exact=True).click()
    page.get_by_role("button", name="Show the parts of tests/api", exact=True).click()
    page.get_by_role("button", name="Show the parts of tests/unit", exact=True).click()
    assert rows() == [*api, *unit]
    for column, expected in {
        "no service": [*unit, *api],
        "postgres": ["tests/api/", "test_orders.py", "test_events.py", *unit],
        "Tests": ["tests/api/", "test_orders.py", "test_events.py", *unit],
    }.items():
        head = matrix.get_by_role("columnheader", name=column)
        head.get_by_role("button").click()
        assert rows() == expected
        expect(head).to_have_attribute("aria-sort", "descending")
    page.keyboard.press("Enter")
    assert rows() == [*unit, *api]
    expect(matrix.get_by_role("columnheader", name="Tests")).to_have_attribute("aria-sort", "ascending")
    expect(matrix.get_by_role("columnheader", name="no service")).to_have_attribute("aria-sort", "none")


@pytest.mark.parametrize("nodeid", SUITE.tests)
def test_the_view_of_a_test_has_the_words_of_explain(opened: Open, nodeid: str) -> None:
    page = opened(SummaryDocument(SUITE), f"#test={nodeid}")
    view = page.get_by_role("dialog", name=nodeid)
    expect(view).to_be_visible()
    text = view.inner_text()
    for block in explain.page(SUITE, nodeid):
        match block:
            case blocks.Line(line):
                assert "".join(piece.text for piece in blocks.pieces(line)) in text
            case blocks.Names(sentences):
                assert all(str(sentence) in text for sentence in sentences)
            case blocks.Heading(title):
                assert str(title) in text


def test_the_timeline_has_a_mark_for_each_piece_of_evidence(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE), f"#test={PUBLISH}")
    marks = page.locator(".timeline .mark title")
    assert marks.count() == 2
    places = page.locator(".timeline .mark").evaluate_all(
        "marks => marks.map((mark) => Number(mark.getAttribute('cx')))"
    )
    assert places[0] < places[1], "what a test inherits is before its own"


def test_a_test_that_the_report_does_not_have(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE), "#test=tests/gone.py::test_gone")
    expect(page.get_by_role("dialog")).to_contain_text("This report does not have this test.")


def test_keys(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.locator("#list .rows a[tabindex='0']").focus()
    focused = "document.activeElement.title"
    tests = [*SUITE.tests]
    for key, nodeid in (("ArrowDown", tests[1]), ("End", tests[-1]), ("ArrowUp", tests[-2]), ("Home", tests[0])):
        page.keyboard.press(key)
        assert page.evaluate(focused) == nodeid
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name=tests[0])).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_role("dialog", name=tests[1])).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_role("dialog", name=tests[0])).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate(focused) == tests[0]
    assert page.evaluate("location.hash") == ""


def test_help_is_one_key_away(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    view = page.get_by_role("dialog", name="Help")
    expect(view).to_be_hidden()
    page.keyboard.press("?")
    expect(view.get_by_role("row", name="/ go to the search")).to_be_visible()
    page.keyboard.press("Escape")
    expect(view).to_be_hidden()
    page.get_by_role("button", name="Help").click()
    view.get_by_role("button", name="Close").click()
    expect(view).to_be_hidden()
    page.get_by_label("Search").press("?")
    expect(view).to_be_hidden()
    assert page.evaluate("document.activeElement.value") == "?"


def test_the_theme_can_be_chosen_and_is_kept(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    page.emulate_media(color_scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Theme: dark").click()
    assert page.evaluate(ground) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark


def test_print_shows_the_tests_and_no_controls(opened: Open, tmp_path: Path) -> None:
    page = opened(SummaryDocument(SUITE))
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for hidden in ("header.bar", "#filters", "button.copy"):
        expect(page.locator(hidden).first).to_be_hidden()
    assert names(page) == [*SUITE.tests]
    closed = page.locator("details:not([open])")
    assert closed.count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert closed.count() > 0
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


def test_many_services_fit_on_paper(opened: Open) -> None:
    services = [f"service-{number}-of-the-authentication" for number in range(12)]
    page = opened(SummaryDocument(classification({"tests/a.py::test_a": result(services)}, (), Rules())))
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 900})  # A4 without its margins, in CSS pixels
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.scrollWidth") == 688


def test_a_phone_shows_what_failed_and_can_sort(opened: Open) -> None:
    page = opened(SummaryDocument(SUITE))
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Findings", "Tests", "Run"):
        expect(page.get_by_role("navigation").get_by_role("link", name=name)).to_be_in_viewport(ratio=1)
    rows = page.locator("#list .rows")
    expect(rows.get_by_text("failed", exact=True)).to_be_visible()
    expect(rows.get_by_text("passed", exact=True).first).to_be_hidden()
    page.get_by_role("combobox", name="Order").select_option("longest first")
    assert names(page)[0] == "tests/unit/test_price.py::test_vat"
    page.get_by_role("combobox", name="Outcome").select_option("failed")
    assert page.evaluate("location.hash") == "#outcome=failed&sort=-duration"
    page.locator("#list .rows a").click()
    for service in ("kafka", "postgres"):
        expect(page.locator(".timeline .label").filter(has_text=service)).to_be_visible()


def test_a_merged_report_lists_its_runs(opened: Open) -> None:
    other = replace(SUITE, run=replace(RUN, started_at="2026-11-21T21:45:00Z"))
    page = opened(SummaryDocument(merge([SUITE, other])), f"#test={PUBLISH}")
    expect(page.get_by_role("dialog")).to_contain_text("Run 2: failed")
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Merged runs").get_by_role("row")).to_have_count(3)


def test_a_report_without_tests(opened: Open) -> None:
    page = opened(SummaryDocument(classification({}, (), Rules())))
    expect(page.get_by_role("heading", level=1)).to_contain_text("no tests")
    assert count(page).startswith("0 tests")
