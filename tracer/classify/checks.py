"""Checks: the static rules and the contracts, compared with the services that tests used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from tracer.classify.assumptions import concerns
from tracer.classify.model import CUT_OFF, AssumptionCheck, ContractCheck, Outcome, TestResult
from tracer.classify.services.rules import Contract
from tracer.trace.records import StaticFacts

CUT_SHORT: Final[frozenset[Outcome]] = CUT_OFF | {"skipped"}
"""Outcomes of tests that did not run, or not to their end. Such a test may need a service that it did not use."""


def check_assumptions(tests: Mapping[str, TestResult], services: Iterable[str]) -> dict[str, AssumptionCheck]:
    """Compare the static rules of some services with the services that tests used; node ids are sorted."""
    return {service: _check_assumption(tests, service) for service in services}


def check_contracts(
    tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], contracts: Iterable[Contract]
) -> tuple[ContractCheck, ...]:
    """Compare contracts with the services that their tests used."""
    return tuple(_check_contract(contract, tests, facts) for contract in contracts)


def _check_assumption(tests: Mapping[str, TestResult], service: str) -> AssumptionCheck:
    groups: dict[str, list[str]] = defaultdict(list)  # field of the check → node ids
    for nodeid, test in tests.items():
        assumed = service in test.assumed
        if service in test.services:
            group = "confirmed" if assumed else "blind_spots"
        elif service in test.ambient:
            group = "ambient_only"
        elif test.outcome in CUT_SHORT:
            group = "undecided"
        else:
            group = "over_assumed" if assumed else "neither"
        groups[group].append(nodeid)
    confirmed, blind, wrong = (len(groups[group]) for group in ("confirmed", "blind_spots", "over_assumed"))
    return AssumptionCheck(
        confirmed=confirmed,
        blind_spots=tuple(sorted(groups["blind_spots"])),
        over_assumed=tuple(sorted(groups["over_assumed"])),
        neither=len(groups["neither"]),
        ambient_only=tuple(sorted(groups["ambient_only"])),
        undecided=len(groups["undecided"]),
        precision=confirmed / (confirmed + wrong) if confirmed + wrong else None,
        recall=confirmed / (confirmed + blind) if confirmed + blind else None,
    )


def _check_contract(contract: Contract, tests: Mapping[str, TestResult], facts: Sequence[StaticFacts]) -> ContractCheck:
    applies = cache(lambda number: concerns(contract, facts[number]))
    concerned = {nodeid: test for nodeid, test in tests.items() if test.facts is not None and applies(test.facts)}
    return ContractCheck(
        selector=contract.selector,
        value=contract.value,
        services=contract.services,
        tests=len(concerned),
        violations=tuple(sorted(nodeid for nodeid, test in concerned.items() if _violates(test, contract))),
    )


def _violates(test: TestResult, contract: Contract) -> bool:
    """Whether a test breaks a contract.

    A self-hosted service is not external, so a test with the contract `none` may use it. It is not a mock either, so it
    satisfies the contract `some`. A test that was cut short breaks no contract that requires services.
    """
    if contract.services == "none":
        return bool(test.services)
    if test.outcome in CUT_SHORT:
        return False
    used = {*test.services, *test.self_hosted}
    return not used if contract.services == "some" else not used.issuperset(contract.services)
