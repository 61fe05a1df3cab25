"""Configurations: what is wrong in any way, and what hypothesis makes."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tracer.classify.services.rules import AssumptionRule, ContractTable, Layer, ServiceRule, Tier, VariantRule

KEYS = {  # table → its keys
    "": Layer.__struct_fields__,
    "services": ServiceRule.__struct_fields__,
    "assumptions": AssumptionRule.__struct_fields__,
    "tiers": Tier.__struct_fields__,
    "contracts": ContractTable.__struct_fields__,
    "variants": VariantRule.__struct_fields__,
}

BAD = [
    # TOML, key that the message names, words of the message or the hint
    ("service = 1", "service", "Write `services`, or another of: "),
    ("[services]\npostgres = 5432", "services.postgres", "an integer, not a table"),
    ("[[services.postgres]]", "services.postgres", "a list, not a table"),
    ("[services.postgres]\nport = [1]", "services.postgres.port", "Write `ports`, or another of: "),
    ("[services.postgres]\nports = 1", "services.postgres.ports", "an integer, not a list"),
    ("[services.postgres]\nports = [1, 70000]", "services.postgres.ports[1]", "70000 is outside 1-65535"),
    ("[services.postgres]\nports = [0]", "services.postgres.ports[0]", "outside"),
    ("[services.postgres]\nports = [-1]", "services.postgres.ports[0]", "outside"),
    ("[services.postgres]\nports = [true]", "services.postgres.ports[0]", "neither a port nor"),
    ("[services.postgres]\nports = [1.5]", "services.postgres.ports[0]", "neither a port nor"),
    ('[services.postgres]\nports = ["5432"]', "services.postgres.ports[0]", "neither a port nor"),
    ('[services.postgres]\nports = ["1-65536"]', "services.postgres.ports[0]", "outside"),
    ('[services.postgres]\nports = ["20-10"]', "services.postgres.ports[0]", 'Write "10-20".'),
    ('[services.postgres]\nhosts = ["10.0.0.5/8"]', "services.postgres.hosts[0]", "host bits set"),
    ('[services.postgres]\nhosts = ["10.0.0.0/33"]', "services.postgres.hosts[0]", "is not a network"),
    ('[services.postgres]\nhosts = ["10.0.0.256"]', "services.postgres.hosts[0]", "is not a host"),
    ('[services.postgres]\nhosts = ["localhost:5432"]', "services.postgres.hosts[0]", "is not a host"),
    ('[services.postgres]\nhosts = [""]', "services.postgres.hosts[0]", "'' is not a host"),
    ("[services.postgres]\nunix = [1]", "services.postgres.unix[0]", "an integer, not a string"),
    ("[services.postgres]\nunix = [2026-11-20]", "services.postgres.unix[0]", "a date, not a string"),
    ('[services.x]\npaths = ["api"]', "services.x.paths[0]", "'api' is not the path of a request\nWrite how it begins"),
    ('[services.x]\npaths = ["/a", "/api/*"]', "services.x.paths[1]", "'/api/*' is not the path of a request"),
    ('[services.x]\npaths = ["/a b"]', "services.x.paths[0]", "'/a b' is not the path of a request"),
    ('[services.x]\npaths = ["/\u00e9"]', "services.x.paths[0]", "percent-encoded and without `*`."),
    ('[services.x]\npaths = [""]', "services.x.paths[0]", "is empty"),
    ('[services.x]\npaths = "/a"', "services.x.paths", "a string, not a list"),
    (
        f'[services.x]\npaths = ["/{"a" * 24}"]',
        "services.x.paths[0]",
        f"'/{'a' * 24}' is longer than what can be seen\nGive at most 24 characters: ",
    ),
    (
        '[services.x]\npaths = ["/a"]\nprotocol = "redis"',
        "services.x.protocol",
        "'redis' beside paths, which only HTTP/1 has\nLeave it out, ",
    ),
    ('[services.x]\npaths = ["/a"]\nprotocol = "http2"', "services.x.protocol", "'http2' beside paths"),
    ('[services.postgres]\nprotocol = "postgress"', "services.postgres.protocol", "Write `postgres`, or another of: "),
    ('[services.postgres]\nprotocol = ""', "services.postgres.protocol", "is empty"),
    ("[services.postgres]\nignore = 1", "services.postgres.ignore", "an integer, not a boolean"),
    ("[services.postgres]\nignore = true", "services.postgres", "ignores nothing"),
    ('[services."a\\nb"]', 'services."a\\nb"', "is not a name for a service"),
    ("[services.'unknown:x']", 'services."unknown:x"', "is not a name for a service"),
    ("[assumptions.postgress]", "assumptions.postgress", "Write `postgres`, or another of: "),
    ("[assumptions.postgres]\nfixture = ['db']", "assumptions.postgres.fixture", "Write `fixtures`, or another of: "),
    ("[assumptions.postgres]\nfixtures = 'db'", "assumptions.postgres.fixtures", "a string, not a list"),
    ("[assumptions.postgres]\nin_class = 'yes'", "assumptions.postgres.in_class", "a string, not a boolean"),
    (
        "[assumptions.postgres]\npaths = ['/a']",
        "assumptions.postgres.paths[0]",
        "'/a' is not valid\nWrite it ",
    ),
    (
        "[assumptions.postgres]\npaths = ['a/']",
        "assumptions.postgres.paths[0]",
        "'a/' is not valid\nWrite it ",
    ),
    ("[tiers]\nname = 'x'", "tiers", "a table, not a list"),
    ("[[tiers]]\nwithin = []", "tiers[0].name", "is missing"),
    ("[[tiers]]\nname = 'x'\nwithin = ['postgras']", "tiers[0].within[0]", "Write `postgres`, or another of: "),
    ("[[tiers]]\nname = 'x'\nany = []", "tiers[0].any", "is empty\nFill it, or leave it out."),
    ("[[tiers]]\nname = 'x'\n[[tiers]]\nname = 'x'", "tiers[1].name", "a second tier 'x'"),
    ("[[tiers]]\nname = 'x'\nall = []", "tiers[0].all", "one of: name, within, any."),
    ("[[contracts]]\nservices = 'none'", "contracts[0]", "one of marker, path, fixture"),
    ("[[contracts]]\nmarker = 'a'\npath = 'b'\nservices = 'none'", "contracts[0]", "one of marker, path, fixture"),
    ("[[contracts]]\nmarker = 'a'", "contracts[0].services", '"none", "some"'),
    ("[[contracts]]\nmarker = 'a'\nservices = 'all'", "contracts[0].services", '"none", "some"'),
    ("[[contracts]]\nmarker = 'a'\nservices = []", "contracts[0].services", '"none", "some"'),
    ("[[contracts]]\nmarker = 'a'\nservices = ['x']", "contracts[0].services[0]", "there is no service 'x'"),
    ("[[contracts]]\npath = 'a/'\nservices = 'some'", "contracts[0].path", "'a/' is not valid\nWrite it "),
    (
        "[[contracts]]\nmarker = 'a or b'\nservices = 'some'",
        "contracts[0].marker",
        "'a or b' is not valid\nName one ",
    ),
    ("[variants]\nparameter = ['x']", "variants.parameter", "Write `parameters`, or another of: "),
    ("extends = 'default'", "extends", "a string, not a list"),
    ("extends = ['default', 'sentri']", "extends[1]", "Write `sentry`, or another of: "),
    ("extends = ['../default']", "extends[0]", "there is no preset"),
]

# Any JSON list of these is TOML too.
SCALARS = st.one_of(st.booleans(), st.integers(-10, 70_000), st.text(st.characters(max_codepoint=0x7E)), st.just("1-2"))
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
LINES = st.dictionaries(
    st.sampled_from(
        [f"services.x.{key}" for key in KEYS["services"]]
        + [f"assumptions.redis.{key}" for key in KEYS["assumptions"]]
        + ["extends", "tiers", "contracts", "services.y", "assumptions.kafka", "other"]
    ),
    VALUES,
    max_size=6,
).map(lambda lines: "\n".join(f"{key} = {json.dumps(value)}" for key, value in lines.items()))
