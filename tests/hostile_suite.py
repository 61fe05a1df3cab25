"""A report with text that a page must only show."""

from __future__ import annotations

from msgspec.structs import replace
from suites import RUN, classification, evidence, facts, result

from tracer.classify.classification import recheck
from tracer.classify.model import Classification
from tracer.classify.services.rules import AssumptionRule, Rules
from tracer.trace.records import RunWarning

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\u202egnp.exe\u2066\u200e",
    "\x1b]0;title\x07\x00\x7f",
    "\udc80\ud800",
    "<!-- <![CDATA[ ]]> -->",
    "&lt;b&gt;&#0;",
]
_RULES = Rules({"postgres": AssumptionRule(fixtures=frozenset({"db"}))})


def hostile() -> Classification:
    """A report with hostile text in every place that the run decides."""
    tests, known = {}, []
    for number, text in enumerate(HOSTILE):
        known.append(facts(f"tests/{text}.py", fixtures=[text, "db"][number % 2 :], markers=[text], bases=[text]))
        one = replace(evidence(text, fixture=text, via=f"fixture:{text}@{text}"), command=text, host=text, errno=text)
        own = replace(one, service="postgres", how="direct", via=None, operations=(text,), listener=text)
        tests[f"tests/{text}.py::test[{text}]"] = result(
            [text, "postgres"], facts=number, evidence=[one, own], ambient=[text], self_hosted=[text]
        )
    run = replace(RUN, command=tuple(HOSTILE), kernel=HOSTILE[0], warnings=tuple(RunWarning(t, t, t) for t in HOSTILE))
    return recheck(classification(tests, known, Rules(), run), _RULES)
