"""Variants of a test, and the services that each uses. They differ only in parameters or suffixes of class names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase

from tracer.classify.model import TestResult, Variants
from tracer.classify.services.rules import VariantRule


def compare_variants(tests: Mapping[str, TestResult], rule: VariantRule) -> Variants:
    """The tests whose variants use different services, sorted.

    A variant that was skipped or not run, and used nothing, is left out: it did not run to its end.
    """
    if not (rule.parameters or rule.class_suffixes):
        return Variants(0, {})
    groups: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for nodeid, test in tests.items():
        if test.outcome not in ("skipped", "not run") or test.services:
            groups[shared_name(nodeid, rule)][nodeid] = test.services
    compared = {name: group for name, group in sorted(groups.items()) if len(group) > 1}
    differing = {name: dict(sorted(group.items())) for name, group in compared.items() if len(set(group.values())) > 1}
    return Variants(len(compared), differing)


def shared_name(nodeid: str, rule: VariantRule) -> str:
    """The node id without the parts in which variants differ. It is the same for all variants of a test.

    `test_it[us-REGION]` has the parameters `us` and `REGION`. A parameter that contains a `-` looks like two.
    """
    path, _, names = nodeid.partition("::")
    if not names:
        return nodeid
    names, bracket, ids = names.partition("[")
    *classes, test = names.split("::")
    classes = [_without_suffix(name, rule.class_suffixes) for name in classes]
    if bracket and ids.endswith("]"):
        parameters = ids.removesuffix("]").split("-")
        kept = [name for name in parameters if not any(fnmatchcase(name, glob) for glob in rule.parameters)]
        bracket, ids = ("[", "-".join(kept) + "]") if kept else ("", "")
    return "::".join([path, *classes, test]) + bracket + ids


def _without_suffix(name: str, suffixes: tuple[str, ...]) -> str:
    return next((name.removesuffix(suffix) for suffix in suffixes if name.endswith(suffix)), name)
