"""The page of a plan: its shards as bars, then its blocks."""

from __future__ import annotations

from tracer.reports.blocks import Headline, plain_text
from tracer.reports.html.contents import Contents
from tracer.reports.pages.plan import PlanDocument, shards_table


def of_plan(document: PlanDocument) -> Contents:
    """The page of a plan. A bar is as long as its shard takes: first the services start, then the session runs."""
    plan = document.plan
    page = list(document.page())
    first = next(block for block in page if isinstance(block, Headline))
    values = {
        "headline": first,
        "page": [block for block in page if block not in (first, shards_table(plan.shards))],
        "shards": plan.shards,
        "longest": max((shard.total_s for shard in plan.shards), default=0.0),
        "known": frozenset[str](),
        "above": 1,
    }
    return Contents(f"{plain_text(first.text)}: svc-trace", "plan.html.jinja", values)
