"""Variants: tests that are one but for a parameter or the end of a class's name, and where their services differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase

from tracer.classify.model import TestResult, Variants
from tracer.classify.services.config import VariantRule


def compare_variants(tests: Mapping[str, TestResult], rule: VariantRule) -> Variants:
    """Tell the tests whose variants use different services, sorted.

    A variant that was skipped and used nothing did not run far enough to tell, and is left out.
    """
    if not (rule.parameters or rule.class_suffixes):
        return Variants(0, {})
    groups: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for nodeid, test in tests.items():
        if test.outcome != "skipped" or test.services:
            groups[shared_name(nodeid, rule)][nodeid] = test.services
    compared = {name: group for name, group in sorted(groups.items()) if len(group) > 1}
    differing = {name: dict(sorted(group.items())) for name, group in compared.items() if len(set(group.values())) > 1}
    return Variants(len(compared), differing)


def shared_name(nodeid: str, rule: VariantRule) -> str:
    """A node id without that by which its test is a variant: what all variants of the test have in common.

    `test_it[us-REGION]` has the parameters `us` and `REGION`; one with a `-` within cannot be told from two.
    """
    path, _, names = nodeid.partition("::")
    if not names:
        return nodeid
    names, bracket, ids = names.partition("[")
    *classes, test = names.split("::")
    classes = [_without_suffix(name, rule.class_suffixes) for name in classes]
    if bracket and ids.endswith("]"):
        parameters = ids.removesuffix("]").split("-")
        kept = [one for one in parameters if not any(fnmatchcase(one, glob) for glob in rule.parameters)]
        bracket, ids = ("[", "-".join(kept) + "]") if kept else ("", "")
    return "::".join([path, *classes, test]) + bracket + ids


def _without_suffix(name: str, suffixes: tuple[str, ...]) -> str:
    return next((name.removesuffix(suffix) for suffix in suffixes if name.endswith(suffix)), name)
