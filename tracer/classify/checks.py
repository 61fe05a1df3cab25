"""AssumptionCheck: the static rules and the contracts held against what was observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from tracer.classify.assumptions import concerns
from tracer.classify.model import AssumptionCheck, ContractCheck, Outcome, TestResult
from tracer.classify.services.config import Contract
from tracer.trace.records import StaticFacts

CUT_SHORT: Final[frozenset[Outcome]] = frozenset({"skipped", "interrupted", "crashed"})
"""Outcomes of tests that did not run to their end: that they were not seen to use a service says nothing."""


def check_assumptions(tests: Mapping[str, TestResult], services: Iterable[str]) -> dict[str, AssumptionCheck]:
    """Hold the static rules of some services against what was observed; node ids come sorted."""
    return {service: _check_assumption(tests, service) for service in services}


def check_contracts(
    tests: Mapping[str, TestResult], facts: Sequence[StaticFacts], contracts: Iterable[Contract]
) -> tuple[ContractCheck, ...]:
    """Hold contracts against what the tests they are about were seen to use."""
    return tuple(_check_contract(contract, tests, facts) for contract in contracts)


def _check_assumption(tests: Mapping[str, TestResult], service: str) -> AssumptionCheck:
    confirmed = neither = undecided = 0
    blind_spots, over_assumed, ambient_only = [], [], []
    for nodeid, test in tests.items():
        assumed = service in test.assumed
        if service in test.services:
            if assumed:
                confirmed += 1
            else:
                blind_spots.append(nodeid)
        elif service in test.ambient:
            ambient_only.append(nodeid)
        elif test.outcome in CUT_SHORT:
            undecided += 1
        elif assumed:
            over_assumed.append(nodeid)
        else:
            neither += 1
    assumptions, observations = confirmed + len(over_assumed), confirmed + len(blind_spots)
    return AssumptionCheck(
        confirmed=confirmed,
        blind_spots=tuple(sorted(blind_spots)),
        over_assumed=tuple(sorted(over_assumed)),
        neither=neither,
        ambient_only=tuple(sorted(ambient_only)),
        undecided=undecided,
        precision=confirmed / assumptions if assumptions else None,
        recall=confirmed / observations if observations else None,
    )


def _check_contract(contract: Contract, tests: Mapping[str, TestResult], facts: Sequence[StaticFacts]) -> ContractCheck:
    @cache
    def is_about(number: int) -> bool:
        return concerns(contract, facts[number])

    about = {nodeid: test for nodeid, test in tests.items() if test.facts is not None and is_about(test.facts)}
    return ContractCheck(
        selector=contract.selector,
        value=contract.value,
        services=contract.services,
        tests=len(about),
        violations=tuple(sorted(nodeid for nodeid, test in about.items() if _violates(test, contract))),
    )


def _violates(test: TestResult, contract: Contract) -> bool:
    """Whether a test breaks a contract.

    What the run itself provides is no external service, so a test may use it that is to use none; and it is no mock, so
    it is as good as any for one that is to use some. A test that was cut short has not failed to use anything.
    """
    if contract.services == "none":
        return bool(test.services)
    if test.outcome in CUT_SHORT:
        return False
    met = {*test.services, *test.self_hosted}
    return not met if contract.services == "some" else not met.issuperset(contract.services)
