"""Classifies a report again by another configuration, as far as the endpoints and protocols of its evidence allow.

What a trace has and a report has not is not decided again: endpoints that were ignored are missing, the paths of
requests are unknown, and whether evidence is direct or ambient stays, although it may depend on the protocol of a rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from tracer.classify.classification import recheck
from tracer.classify.evidence import services_in
from tracer.classify.model import Classification, Evidence, TestResult
from tracer.classify.services.config import Config
from tracer.classify.services.identify import Identifier


def reclassify(classification: Classification, config: Config) -> Classification:
    """A report with the services and rules of a configuration."""
    names = _Names(config)
    tests = {nodeid: names.renamed(test) for nodeid, test in classification.tests.items()}
    run_evidence = names.evidence(classification.run_evidence)
    renamed = replace(classification, tests=tests, run_evidence=run_evidence)
    return recheck(renamed, config.rules, always=True)


class _Names:
    """The services of evidence by one configuration. Each different evidence is decided once."""

    def __init__(self, config: Config) -> None:
        self._identifier = Identifier(config)
        self._renamed: dict[Evidence, Evidence | None] = {}  # None: its endpoint is ignored

    def evidence(self, evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
        """Evidence with the names of its services, without ignored endpoints."""
        return tuple(one for each in evidence if (one := self._of(each)) is not None)

    def renamed(self, test: TestResult) -> TestResult:
        """A test with the services that follow from its evidence."""
        evidence = self.evidence(test.evidence)
        if evidence == test.evidence:
            return test
        return replace(test, evidence=evidence, **services_in(evidence)._asdict())

    def _of(self, evidence: Evidence) -> Evidence | None:
        if evidence not in self._renamed:
            service = self._identifier.service_without_requests(
                evidence.endpoint,
                evidence.protocol,
                evidence.host,
                known=evidence.service,
                self_hosted=evidence.self_hosted,
            )
            name = service.name
            same = evidence if name == evidence.service else replace(evidence, service=name)
            self._renamed[evidence] = None if service.ignored else same
        return self._renamed[evidence]
