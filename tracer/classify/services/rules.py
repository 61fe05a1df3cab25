"""What a configuration says: the endpoints of each service, and the suite's static rules.

The descriptions are those of docs/configuration.md. The JSON Schema (schema.py) is made of these types.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from tracer.classify.services.document import Text
from tracer.classify.services.protocols import MATCHERS
from tracer.classify.services.values import Glob, Host, Marker, RequestPath, ServiceName, SuitePath

PRESET_FILES: Final = Path(__file__).parent / "presets"
PRESETS: Final = tuple(sorted(path.stem for path in PRESET_FILES.glob("*.toml")))

Selector = Literal["marker", "path", "fixture"]
Needed = Literal["none", "some"] | Annotated[tuple[Text, ...], Meta(min_length=1)]
"""No service, at least one, or each of these."""


class ServiceRule(Struct, frozen=True):
    """The endpoints of one service: `[services.NAME]`."""

    ports: Annotated[
        tuple[range, ...], Meta(description="ports and ranges, both ends included; the same for TCP, UDP and SCTP")
    ] = ()
    hosts: Annotated[
        tuple[Host, ...],
        Meta(description="restricts `ports` and `protocol` to these hosts; alone, it means all their ports"),
    ] = ()
    unix: Annotated[
        tuple[Glob, ...],
        Meta(
            description="globs over the whole path of a unix socket; `*` also matches slashes; an abstract name starts "
            "with `@`"
        ),
    ] = ()
    paths: Annotated[
        tuple[RequestPath, ...],
        Meta(description="restricts the rule to HTTP/1 requests whose path begins so; alone, it means all endpoints"),
    ] = ()
    protocol: (
        Annotated[
            Text,
            Meta(description="one of the protocols, recognised on any port", extra_json_schema={"enum": [*MATCHERS]}),
        ]
        | None
    ) = None
    ignore: Annotated[bool, Meta(description="if true, the endpoints are in no report")] = False
    start_up_s: (
        Annotated[float, Meta(ge=0, le=86_400, description="the start-up cost in seconds, for `svc-trace plan`")] | None
    ) = None  # None: not measured


class AssumptionRule(Struct, frozen=True):
    """The static rule of a service: `[assumptions.SERVICE]`. One matching entry claims that a test needs it."""

    fixtures: Annotated[
        frozenset[Text],
        Meta(
            description="claims a test that requests one of these: by argument, autouse, `usefixtures` or another "
            "fixture, but not by `getfixturevalue`"
        ),
    ] = frozenset()
    markers: Annotated[
        frozenset[Text],
        Meta(description="claims a test with one of these markers, also of its class or module"),
    ] = frozenset()
    classes: Annotated[
        tuple[Text, ...],
        Meta(
            description="claims a test whose class is one of these or derives from one; an enclosing class does not "
            "count"
        ),
    ] = ()
    paths: Annotated[
        tuple[SuitePath, ...], Meta(description="claims a test in a file that one of these globs matches")
    ] = ()
    in_class: Annotated[bool, Meta(description="if true, claims a test that is a method of any class")] = False


class Tier(Struct, frozen=True):
    """A group of tests by the services they use: `[[tiers]]`. Without a condition it fits every test."""

    name: Annotated[Text, Meta(description="the tier's name (required)")]
    within: (
        Annotated[
            frozenset[Text],
            Meta(description="fits a test that uses no other service than these; `[]`: none"),
        ]
        | None
    ) = None
    any: (
        Annotated[
            frozenset[Text],
            Meta(min_length=1, description="fits a test that uses at least one of these; not empty"),
        ]
        | None
    ) = None


class Contract(Struct, frozen=True):
    """What the tests of a marker, path or fixture have to use: `[[contracts]]`."""

    selector: Selector
    value: str  # of a marker also `not NAME`: the tests without it
    services: Needed


class ContractTable(Struct, frozen=True):
    """A contract in a file: exactly one of `marker`, `path` and `fixture`; and `services`."""

    services: Annotated[
        Needed,
        Meta(description='`"none"`: no service; `"some"`: at least one; a list: each of these (required)'),
    ]
    marker: (
        Annotated[
            Marker,
            Meta(description='selects the tests with this marker; `"not integration"`: those without it'),
        ]
        | None
    ) = None
    path: (
        Annotated[SuitePath, Meta(description="selects the tests in files that this glob matches, as in assumptions")]
        | None
    ) = None
    fixture: (
        Annotated[Text, Meta(description="selects the tests that request this fixture, as in assumptions")] | None
    ) = None


class VariantRule(Struct, frozen=True):
    """The parts of node ids in which the variants of a test differ: `[variants]`."""

    parameters: Annotated[
        tuple[Glob, ...],
        Meta(
            description="globs over a parameter as the node id shows it: `test_it[us-REGION]` has two, `us` and "
            "`REGION`. A parameter that contains `-` counts as two"
        ),
    ] = ()
    class_suffixes: Annotated[
        tuple[Text, ...], Meta(description="ends of the names of the test's class or an enclosing one")
    ] = ()


class Rules(Struct, frozen=True):
    """The rules that need only a test's services and static facts, so that a report is enough to check them."""

    assumptions: Mapping[str, AssumptionRule] = {}  # service → rule
    tiers: tuple[Tier, ...] = ()
    contracts: tuple[Contract, ...] = ()
    variants: VariantRule = VariantRule()


class Layer(Struct, frozen=True):
    """A configuration file or preset as it is written: its keys, of which `_merge` makes a `Config`."""

    extends: Annotated[
        tuple[Annotated[Text, Meta(extra_json_schema={"enum": [*PRESETS]})], ...],
        Meta(description="presets, between the preset `default` and the file"),
    ] = ()
    services: Annotated[dict[ServiceName, ServiceRule], Meta(description="A service is a name for endpoints.")] = {}
    assumptions: Annotated[
        dict[ServiceName, AssumptionRule],
        Meta(description="An assumption is a static rule: it claims that a test needs a service."),
    ] = {}
    tiers: Annotated[
        tuple[Tier, ...], Meta(description="A tier is a group of tests that run with the same services.")
    ] = ()
    contracts: Annotated[
        tuple[
            Annotated[
                ContractTable, Meta(extra_json_schema={"oneOf": [{"required": [one]} for one in get_args(Selector)]})
            ],
            ...,
        ],
        Meta(
            description="A contract says which services the tests with a marker, in a path, or with a fixture must use."
        ),
    ] = ()
    variants: Annotated[
        VariantRule,
        Meta(description="Variants of a test differ in a parameter or in the end of a class's name."),
    ] = VariantRule()
