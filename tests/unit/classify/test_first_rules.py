"""What names and files suggest about a suite's services, before anything is observed."""

from __future__ import annotations

import pytest

from tracer.classify.first_rules import ComposeService, FirstRules, Found, Reasoned, first_rules
from tracer.classify.service_words import (
    CLIENTS,
    PROGRAMS,
    RELATIONAL,
    demanded,
    engine_service,
    image_service,
    named_service,
)
from tracer.classify.services.config import default_services, read_preset
from tracer.trace.records import StaticFacts


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("requires_kafka", "kafka"),
        ("redis_client", "redis"),
        ("redis_cluster", "redis-cluster"),
        ("SnubaTestCase", "snuba"),
        ("RabbitMQMixin", "rabbitmq"),
        ("PostgreSQLTestCase", "postgres"),
        ("ClickHouseBase", "clickhouse"),
        ("mysql8", "mysql"),
        ("neo4j_driver", "neo4j"),
        ("pg", "postgres"),
        ("db", None),
        ("mock_redis", None),
        ("FakeKafkaTestCase", None),
        ("without_redis", None),
        ("kafkaesque", None),
        ("page", None),
        ("", None),
    ],
)
def test_the_service_of_a_name(name: str, service: str | None) -> None:
    assert named_service(name) == service


@pytest.mark.parametrize("name", ["db", "database", "DatabaseTestCase", "db_session"])
def test_db_is_the_only_database(name: str) -> None:
    assert named_service(name, {"mysql"}) == "mysql"
    assert named_service(name, {"mysql", "postgres"}) is None
    assert named_service(f"redis_{name}", {"mysql"}) == "redis"


@pytest.mark.parametrize(
    ("image", "service"),
    [
        ("postgres:16-alpine", "postgres"),
        ("confluentinc/cp-kafka:7.5", "kafka"),
        ("docker.elastic.co/elasticsearch/elasticsearch:8.1", "elasticsearch"),
        ("registry:5000/valkey@sha256:00ff", "redis"),
        ("provectuslabs/kafka-ui", None),
        ("mongo-express", None),
        ("minio/minio", None),
        ("", None),
    ],
)
def test_the_service_of_an_image(image: str, service: str | None) -> None:
    assert image_service(image) == service


def test_the_service_of_an_engine() -> None:
    assert engine_service("django.contrib.gis.db.backends.postgis") == "postgres"
    assert engine_service("django.db.backends.mysql") == "mysql"
    assert engine_service("django.db.backends.sqlite3") is None


def test_what_is_demanded() -> None:
    assert [
        demanded(name) for name in ("requires_ledger_api", "NeedsLedger", "ledger", "requires", "needs_no_ledger")
    ] == [
        "ledger-api",
        "ledger",
        None,
        None,
        None,
    ]


def test_all_services_that_words_stand_for_are_known() -> None:
    assert {*PROGRAMS.values(), *CLIENTS.values(), *RELATIONAL} <= default_services().keys()
    assert {named_service(name) for name in ("pg", "vault", "etcd", "consul", "ldap")} <= default_services().keys()


def facts(path: str = "test_a.py", fixtures: str = "", markers: str = "", bases: str = "") -> StaticFacts:
    return StaticFacts(path, tuple(fixtures.split()), tuple(markers.split()), tuple(bases.split()))


def entries(rules: FirstRules, service: str) -> dict[str, list[str]]:
    return {key: [one.value for one in found] for key, found in rules.assumptions[service].items()}


def test_of_entries_for_the_same_tests_the_most_general_one_is_taken() -> None:
    found = Found(
        {
            facts(fixtures="redis_url redis_pool redis_client _redis_lock"): 2,
            facts(fixtures="redis_url redis_pool"): 1,
            facts(fixtures="redis_url"): 4,
            facts("tests/redis/test_a.py"): 3,
            facts("tests/unit/redis/test_a.py"): 8,
        }
    )
    assert entries(first_rules(found), "redis") == {"fixtures": ["redis_pool"], "paths": ["tests/redis/**"]}


def test_a_base_class_counts_and_not_the_tests_own_class() -> None:
    base = "cases.SnubaTestCase"
    found = Found(
        {facts(bases=f"test_a.KafkaTest {base}"): 1, facts(bases=f"test_b.B cases.ReplaysSnubaTestCase {base}"): 1}
    )
    rules = first_rules(found)
    assert [*rules.assumptions] == ["snuba"]
    assert entries(rules, "snuba") == {"classes": [base]}


def test_a_directory_is_no_pattern() -> None:
    assert entries(first_rules(Found({facts("a[1]*/kafka/test_a.py"): 1})), "kafka") == {
        "paths": ["a[[]1][*]/kafka/**"]
    }


DJANGO = facts(bases="test_a.A django.test.testcases.TestCase django.test.testcases.TransactionTestCase")


def test_django_with_mysql_has_the_rules_of_the_preset_for_it() -> None:
    rules = first_rules(Found({DJANGO: 3}, databases=[("django.db.backends.mysql", "3307")]))
    assert rules.extends == []
    preset = read_preset("django").table["assumptions"]["postgres"].data
    assert {key: sorted(names) for key, names in entries(rules, "mysql").items()} == {
        key: sorted(names) for key, names in preset.items()
    }
    rule, reasons = rules.services["mysql"]
    assert (rule.ports, reasons) == ((range(3306, 3307), range(3307, 3308)), ["Django's setting DATABASES"])


def test_an_entry_beside_the_preset_django_keeps_those_of_the_preset() -> None:
    """A table in the file replaces the preset's."""
    found = Found({DJANGO: 3, facts(fixtures="postgres_dump"): 1}, databases=[("django.db.backends.postgresql", "")])
    rules = first_rules(found)
    assert [one.value for one in rules.extends] == ["django"]
    assert rules.services == {}
    fixtures = entries(rules, "postgres")["fixtures"]
    assert fixtures[0] == "postgres_dump"
    assert "transactional_db" in fixtures
    assert entries(rules, "postgres")["markers"] == ["django_db"]


def test_a_server_counts_if_the_suite_has_its_client() -> None:
    listening = [("redis-server", 6380), ("mysqld", 3307), ("redis-server", 6379)]
    rules = first_rules(Found({}, modules=["redis"], listening=listening))
    assert {name: reasons for name, (_, reasons) in rules.services.items()} == {
        "redis": ["redis-server listens there on this machine"]
    }
    assert rules.services["redis"][0].ports[-1] == range(6380, 6381)
    assert rules.services["redis"][0].protocol == "redis"


@pytest.mark.parametrize(
    ("one", "services"),
    [
        (ComposeService("c", "db", "postgres:16", (range(5432, 5433),), (5432,)), {}),
        (ComposeService("c", "database", "", (range(5432, 5433),), (5432,)), {}),  # built, but it has Postgres's port
        (ComposeService("c", "web", "", (range(8888, 8889),), (80,)), {"web": (range(8888, 8889),)}),
        (ComposeService("c", "store", "minio/minio", (range(9000, 9001),), (9000,)), {"store": (range(9000, 9001),)}),
        (ComposeService("c", "worker", "", (), ()), {}),
    ],
)
def test_services_of_compose_files(one: ComposeService, services: dict[str, tuple[range, ...]]) -> None:
    rules = first_rules(Found({}, compose=[one]))
    assert {name: rule.ports for name, (rule, _) in rules.services.items()} == services


def test_what_is_demanded_and_not_known_is_asked_for() -> None:
    found = Found({facts(markers="requires_ledger"): 2, facts(fixtures="needs_search"): 1}, markers=["requires_vat"])
    search = ComposeService("c", "search", "example/search", (range(9201, 9202),), (9200,))
    rules = first_rules(found._replace(compose=[search]))
    assert rules.open == [
        Reasoned("ledger", "marker requires_ledger, 2 tests"),
        Reasoned("vat", "marker requires_vat, 0 tests"),
    ]
    assert entries(rules, "search") == {"fixtures": ["needs_search"]}


def test_many_directories_of_one_name_have_one_contract() -> None:
    found = Found({facts(f"{name}/unit/test_a.py"): 1 for name in "abcd"})
    ((contract, reason),) = first_rules(found).contracts
    assert (contract.value, contract.services, reason) == ("**/unit/**", "none", "4 tests")


def test_units_and_integration_tests_have_contracts() -> None:
    found = Found(
        {
            facts("tests/unit/test_a.py"): 5,
            facts("app/tests/integration/test_a.py", "docker_services"): 2,
            facts(markers="integration"): 1,
        }
    )
    contracts = [(one.selector, one.value, one.services, reason) for one, reason in first_rules(found).contracts]
    assert contracts == [
        ("path", "tests/unit/**", "none", "5 tests"),
        ("marker", "integration", "some", "1 test"),
        ("path", "app/tests/integration/**", "some", "2 tests"),
        ("fixture", "docker_services", "some", "2 tests"),
    ]
