"""What is true of every page: hostile text, the network, accessibility, phones, many tests; and other documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from hostile_suite import HOSTILE, hostile
from playwright.sync_api import BrowserContext, Page, expect
from suites import classification, facts, result, verdict, verification

from browser.conftest import Open, write_page
from browser.test_report_page import SUITE
from tracer.classify.diff import compare
from tracer.classify.plan.plan import Plan, Shard, Totals
from tracer.classify.services.rules import Rules
from tracer.reports.formats import Document
from tracer.reports.pages.diff import DiffDocument
from tracer.reports.pages.plan import PlanDocument
from tracer.reports.pages.summary import SummaryDocument
from tracer.reports.pages.verify import VerifyDocument

OLD = classification({"a.py::test_a": result(["postgres"]), "b.py::test_gone": result()}, (), Rules())
NEW = classification({"a.py::test_a": result(["kafka"]), "b.py::test_new": result(["kafka"])}, (), Rules())
SHARDS = (
    Shard(("kafka", "postgres"), ("a.py::test_a",), start_up_s=20.0, tests_s=10.0, total_s=30.0),
    Shard((), ("a.py::test_b", "a.py::test_c"), start_up_s=0.0, tests_s=15.0, total_s=15.0),
)
PLAN = Plan(SHARDS, Totals(30.0, 45.0), Totals(40.0, 80.0), Totals(50.0, 80.0), lower_bound_s=25.0, asked_shards=2)
DOCUMENTS: dict[str, Document] = {
    "report": SummaryDocument(SUITE),
    "difference": DiffDocument(compare(OLD, NEW)),
    "plan": PlanDocument(PLAN, "test", 1, {"kafka": 20.0, "postgres": 5.0}),
    "verdicts": VerifyDocument(verification({"tests/a.py::test_a": verdict("needs", "redis")}, "redis")),
}
MANY = 30_000


def test_hostile_text_is_only_shown(opened: Open) -> None:
    page = opened(SummaryDocument(hostile()))
    elements = "document.querySelectorAll('img, iframe, main script').length"
    assert page.evaluate(elements) == 0
    search = page.get_by_label("Search")
    for number, text in enumerate(HOSTILE):
        page.locator("#list .rows a").nth(number).click()
        view = page.get_by_role("dialog")
        expect(view).to_contain_text("Rules can select it by: file")
        expect(view).to_contain_text(text if text.isprintable() else "\\")
        page.keyboard.press("Escape")
        search.fill(text.encode("ascii", "replace").decode())
        search.fill("")
    page.locator("#matrix button.open").first.click()
    assert page.evaluate(elements) == 0


def test_the_policy_forbids_the_network_and_markup(context: BrowserContext, tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", SummaryDocument(SUITE))
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    forbidden = page.evaluate("""async () => {
      const found = [];
      addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
      await fetch("http://127.0.0.1:9/").catch(() => null);
      const image = new Image();
      await new Promise((done) => { image.onerror = done; image.src = "http://127.0.0.1:9/"; });
      try { document.body.innerHTML = "<b>x</b>"; } catch { found.push("markup"); }
      try { setTimeout("document.title = 'changed'"); } catch { found.push("script"); }
      return found;
    }""")
    assert {"connect-src", "img-src", "markup", "script"} <= {*forbidden}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_axe_finds_nothing(opened: Open, name: str, width: int, scheme: str) -> None:
    page = opened(DOCUMENTS[name])
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    assert violations(page) == []
    if name == "report":
        page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
        assert violations(page) == []
        page.locator("#list .rows a").nth(5).click()
        expect(page.get_by_role("dialog")).to_contain_text("Evidence")
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Blind spot")
        assert violations(page) == []


def violations(page: Page) -> list[str]:
    """What axe-core objects to: WCAG 2.2 A and AA, with contrast, and its good practices."""
    found = page.evaluate(f"() => {{ {AXE_SCRIPT}; return axe.run(); }}")
    return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_fits_on_a_phone(opened: Open, name: str) -> None:
    page = opened(DOCUMENTS[name])
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_difference_shows_old_and_new(opened: Open) -> None:
    page = opened(DOCUMENTS["difference"])
    expect(page.get_by_role("heading", level=1)).to_have_text("1 test with other services, 1 new test, 1 test gone")
    row = page.get_by_role("row").filter(has_text="test_a")
    assert row.get_by_role("cell").all_inner_texts()[1:] == ["other services", "−postgres", "+kafka"]
    page.get_by_role("combobox", name="What").select_option("gone")
    assert page.locator("#list .rows a").evaluate_all("all => all.map((one) => one.title)") == ["b.py::test_gone"]
    page.get_by_role("combobox", name="What").select_option("any")
    page.get_by_role("combobox", name="Service").select_option("kafka")
    expect(page.locator("#filters .count")).to_have_text("2 tests")


def test_a_plan_has_a_bar_for_each_shard(opened: Open) -> None:
    page = opened(DOCUMENTS["plan"])
    row = page.get_by_role("row", name="1 30 s 20 s 1 kafka, postgres")
    expect(row).to_be_visible()
    widths = row.locator("rect").evaluate_all("all => all.map((one) => one.getBoundingClientRect().width)")
    whole = row.locator("svg").evaluate("one => one.getBoundingClientRect().width")
    assert [round(width / whole, 2) for width in widths] == [0.67, 0.33]
    half = page.get_by_role("row", name="2 15 s 0 ms 2 none").locator("rect")
    widths = half.evaluate_all("all => all.map((one) => one.getBoundingClientRect().width)")
    assert [round(width / whole, 2) for width in widths] == [0.0, 0.5]


def test_other_documents_have_a_page_of_their_blocks(opened: Open) -> None:
    page = opened(DOCUMENTS["verdicts"])
    expect(page.get_by_role("heading", level=1)).to_have_text("1 of 1 test needs redis")
    expect(page.get_by_text("tests/a.py::test_a")).to_be_visible()


def test_a_list_of_many_tests_has_few_elements(opened: Open) -> None:
    tests = {
        f"tests/part_{n % 300:03}/test_{n % 3000}.py::test[{n}]": result(["postgres"], facts=0) for n in range(MANY)
    }
    page = opened(SummaryDocument(classification(tests, [facts("tests/test.py")], Rules())))
    rows = page.locator("#list .rows > *")
    assert rows.count() < 100
    page.locator("#list .rows a[tabindex='0']").focus()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.title") == [*tests][-1]
    assert rows.count() < 100
    page.get_by_label("Search").fill("part_007 [10")
    found = [nodeid for nodeid in tests if "part_007" in nodeid and "[10" in nodeid]
    assert page.locator("#filters .count").inner_text().startswith(f"{len(found)} tests of 30,000")
    assert page.locator("#matrix tbody tr").count() < 100
    page.get_by_role("button", name="Show 60 of 240 more rows").click()
    assert page.locator("#matrix tbody tr").count() > 100
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert rows.count() == min(200, len(found))
