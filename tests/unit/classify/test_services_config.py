from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from configurations import BAD, KEYS, LINES
from hypothesis import given

from tracer.classify.services.config import load_config
from tracer.classify.services.identify import Identifier
from tracer.classify.services.protocols import MATCHERS
from tracer.classify.services.rules import AssumptionRule, Contract, ServiceRule, Tier, VariantRule
from tracer.classify.services.values import Host
from tracer.errors import ExitStatus, SvcTraceError
from tracer.trace.endpoint import Endpoint

ROOT = Path(__file__).parents[3]
PRESETS = sorted(path.stem for path in ROOT.glob("tracer/classify/services/presets/*.toml"))
DOCUMENT = (ROOT / "docs" / "configuration.md").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The root of a repository: the search for a configuration ends here."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_key_is_read(project: Path) -> None:
    path = write(
        project / "any-name.toml",
        """
        extends = ["default"]
        [services.postgres]
        ports = [5433, "15432-15440", "1 - 2"]
        hosts = ["localhost", "10.0.0.0/8", "192.0.2.1", "*.RDS.amazonaws.com"]
        unix = ["*/.s.PGSQL.*"]
        protocol = "postgres"
        [services.users]
        paths = ["/", "/api/users?id=", "/aaaaaaaaaaaaaaaaaaaaaaa"]
        protocol = "http"
        [services.noise]
        unix = ["@noise"]
        ignore = true
        [assumptions.postgres]
        fixtures = ["db"]
        markers = ["django_db"]
        classes = ["django.test.TestCase"]
        paths = ["tests/db/**"]
        in_class = true
        [[tiers]]
        name = "both"
        within = ["postgres", "redis"]
        any = ["redis"]
        [[tiers]]
        name = "rest"
        [[contracts]]
        marker = "unit"
        services = "none"
        [[contracts]]
        path = "tests/integration/**"
        services = ["postgres", "noise"]
        [[contracts]]
        fixture = "kafka"
        services = "some"
        [[contracts]]
        marker = "not integration"
        services = "none"
        [variants]
        parameters = ["REGION", "asyncio*"]
        class_suffixes = ["InRegion"]
        """,
    )
    config = load_config(path, project)
    assert config.source == str(path)
    assert list(config.services.items())[:3] == [
        (
            "postgres",
            ServiceRule(
                ports=(range(5433, 5434), range(15432, 15441), range(1, 3)),
                hosts=(
                    Host([ip_network("127.0.0.0/8"), ip_network("::1")]),
                    Host([ip_network("10.0.0.0/8")]),
                    Host([ip_network("192.0.2.1")]),
                    Host(["*.rds.amazonaws.com"]),
                ),
                unix=("*/.s.PGSQL.*",),
                protocol="postgres",
            ),
        ),
        ("users", ServiceRule(paths=("/", "/api/users?id=", f"/{'a' * 23}"), protocol="http")),
        ("noise", ServiceRule(unix=("@noise",), ignore=True)),
    ]
    assert config.rules.assumptions == {
        "postgres": AssumptionRule(
            fixtures=frozenset({"db"}),
            markers=frozenset({"django_db"}),
            classes=("django.test.TestCase",),
            paths=("tests/db/**",),
            in_class=True,
        )
    }
    both = Tier("both", within=frozenset({"postgres", "redis"}), any=frozenset({"redis"}))
    assert config.rules.tiers == (both, Tier("rest"))
    assert config.rules.contracts == (
        Contract("marker", "unit", "none"),
        Contract("path", "tests/integration/**", ("postgres", "noise")),
        Contract("fixture", "kafka", "some"),
        Contract("marker", "not integration", "none"),
    )
    assert config.rules.variants == VariantRule(parameters=("REGION", "asyncio*"), class_suffixes=("InRegion",))


def test_without_a_file_the_default_preset_stands_alone(project: Path) -> None:
    config = load_config(None, project)
    assert config.source is None
    assert {
        "postgres",
        "kafka",
        "redis",
        "redis-cluster",
        "snuba",
        "symbolicator",
        "objectstore",
        "bigtable",
    } <= config.services.keys()
    assert [tier.name for tier in config.rules.tiers] == [
        "no_services",
        "postgres_only",
        "snuba_tier",
        "other_services",
    ]
    assert not config.rules.assumptions
    assert not config.rules.contracts


def test_a_later_layer_replaces_by_name_and_matches_first(project: Path) -> None:
    before = load_config(None, project)
    write(project / "svc-trace.toml", "[services.mine]\nports = [1]\n[services.redis]\nports = [2]\n")
    after = load_config(None, project)
    services = list(after.services.items())
    assert services[:2] == [
        ("mine", ServiceRule(ports=(range(1, 2),))),
        ("redis", ServiceRule(ports=(range(2, 3),))),
    ]
    assert services[2:] == [(name, rule) for name, rule in before.services.items() if name != "redis"]
    assert after.rules.tiers == before.rules.tiers


class TestPresets:
    """What comes with svc-trace."""

    @pytest.mark.parametrize("name", PRESETS)
    def test_each_is_a_configuration_and_has_a_section(self, project: Path, name: str) -> None:
        write(project / "svc-trace.toml", f'extends = ["{name}"]\n')
        assert load_config(None, project).rules.tiers
        assert f"### The preset `{name}`\n" in DOCUMENT
        assert re.search(rf"^\| `{name}` \|", DOCUMENT, re.MULTILINE)

    @pytest.mark.parametrize("name", PRESETS)
    def test_whatever_it_assumes_or_demands_can_be_observed(self, project: Path, name: str) -> None:
        write(project / "svc-trace.toml", f'extends = ["{name}"]\n')
        config = load_config(None, project)
        observable = {
            name for name, rule in config.services.items() if rule.ports or rule.hosts or rule.unix or rule.protocol
        }
        demanded = {
            service for one in config.rules.contracts for service in one.services if isinstance(one.services, tuple)
        }
        assert config.rules.assumptions.keys() | demanded <= observable

    @pytest.mark.parametrize(
        ("name", "port", "service"),
        [
            *(("sentry", port, "snuba") for port in (1218, 1230, 1230 + 15)),  # the last two are xdist's gw0 and gw15
            *(("sentry", port, "redis-cluster") for port in (7000, 7005)),
            ("sentry", 3021, "symbolicator"),
            ("sentry", 5432, "postgres"),
            ("sentry", 6379, "redis"),
            ("sentry", 8086, "bigtable"),
            ("sentry", 8888, "objectstore"),
            ("sentry", 9092, "kafka"),
            ("netra", 5434, "postgres"),
            *(("netra", port, "redis") for port in (6381, 6382)),
            ("netra", 8000, "backend"),
            ("netra", 8081, "auth"),
            ("netra", 3000, "frontend"),
            ("netra", 8123, "clickhouse"),
            ("netra", 8002, "analytics"),
            ("netra", 5432, "development-postgres"),
            ("netra", 6379, "development-redis"),
            ("scylla-cluster-tests", 9042, "scylla"),
        ],
    )
    def test_each_policys_ports(self, project: Path, name: str, port: int, service: str) -> None:
        write(project / "svc-trace.toml", f'extends = ["{name}"]\n')
        identifier = Identifier(load_config(None, project))
        assert identifier.service_of(Endpoint("tcp", "127.0.0.1", port)).name == service

    def test_they_stack(self, project: Path) -> None:
        write(project / "svc-trace.toml", 'extends = ["sentry", "netra"]\n')
        config = load_config(None, project)
        assert config.rules.assumptions.keys() >= {"snuba", "backend"}
        assert [tier.name for tier in config.rules.tiers] == ["unit", "integration", "development", "full_stack"]
        assert config.rules.variants.parameters == ("CONTROL", "MONOLITH", "REGION")


class TestSearch:
    """Which file is found from a directory."""

    def found(self, directory: Path) -> str | None:
        return load_config(None, directory).source

    def test_the_nearest_wins_and_svc_trace_toml_goes_first(self, project: Path) -> None:
        outer = write(project / "svc-trace.toml", "")
        pyproject = write(project / "a" / "pyproject.toml", "[tool.svc-trace]\n")
        directory = project / "a" / "b"
        directory.mkdir()
        assert self.found(directory) == str(pyproject)
        inner = write(project / "a" / "svc-trace.toml", "")
        assert self.found(directory) == str(inner)
        assert self.found(project) == str(outer)

    def test_a_pyproject_without_the_table_does_not_count(self, project: Path) -> None:
        outer = write(project / "svc-trace.toml", "")
        write(project / "a" / "pyproject.toml", "[project]\nname = 'x'\n[tool.other]\n")
        assert self.found(project / "a") == str(outer)

    @pytest.mark.parametrize("is_worktree", [False, True])
    def test_it_ends_at_the_repository(self, tmp_path: Path, is_worktree: bool) -> None:
        write(tmp_path / "svc-trace.toml", "")
        repository = tmp_path / "repository"
        repository.mkdir()
        assert self.found(repository) == str(tmp_path / "svc-trace.toml")
        git = repository / ".git"
        git.write_text("gitdir: elsewhere") if is_worktree else git.mkdir()
        assert self.found(repository) is None

    def test_a_relative_directory(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(project / "svc-trace.toml", "")
        (project / "a").mkdir()
        monkeypatch.chdir(project)
        assert self.found(Path("a")) == str(project / "svc-trace.toml")


def test_the_table_of_a_pyproject(project: Path) -> None:
    path = write(project / "pyproject.toml", "[project]\nunknown = 1\n[tool.svc-trace.services.mine]\nports = [1]\n")
    assert next(iter(load_config(path, project).services)) == "mine"


@pytest.mark.parametrize(("text", "key", "words"), BAD, ids=[text for text, _, _ in BAD])
def test_a_bad_configuration_is_one_error_that_names_the_key(project: Path, text: str, key: str, words: str) -> None:
    path = write(project / "svc-trace.toml", text)
    with pytest.raises(SvcTraceError) as caught:
        load_config(path, project)
    error = caught.value
    assert (error.slug, error.exit_code) == ("config-invalid", ExitStatus.BAD_CONFIG)
    assert error.message.startswith(f"{path}: {key}: ")
    assert words in f"{error.message}\n{error.hint}"
    assert "\n" not in error.message + error.hint


def test_an_error_in_a_pyproject_names_the_whole_key(project: Path) -> None:
    path = write(project / "pyproject.toml", "[tool.svc-trace.services.postgres]\nports = [0]\n")
    with pytest.raises(SvcTraceError, match=re.escape("tool.svc-trace.services.postgres.ports[0]: ")):
        load_config(None, project)
    write(path, "[project]\n")
    with pytest.raises(SvcTraceError, match=re.escape("tool.svc-trace: no such table")):
        load_config(path, project)
    write(path, "tool = 3\n")
    with pytest.raises(SvcTraceError, match="tool: is an integer, not a table"):
        load_config(None, project)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"a = 1\nb = \n", "(at line 2, column 5)"),
        (b"[a]\n[a]\n", "(at line 2, column 3)"),
        (b"# a\n# b \xff\n", "not UTF-8 (at line 2)"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"1" * 5000, "integer string conversion"),
    ],
    ids=["syntax", "twice", "not UTF-8", "deep", "long"],
)
def test_what_is_no_toml(project: Path, raw: bytes, words: str) -> None:
    path = project / "svc-trace.toml"
    path.write_bytes(raw)
    with pytest.raises(SvcTraceError) as caught:
        load_config(None, project)
    assert (caught.value.slug, caught.value.exit_code) == ("config-syntax", ExitStatus.BAD_CONFIG)
    assert caught.value.message.startswith(f"{path}: ")
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["missing.toml", "folder.toml", "missing/pyproject.toml"])
def test_what_cannot_be_read(project: Path, name: str) -> None:
    (project / "folder.toml").mkdir()
    with pytest.raises(SvcTraceError) as caught:
        load_config(project / name, project)
    assert (caught.value.slug, caught.value.exit_code) == ("config-unreadable", ExitStatus.BAD_CONFIG)
    assert str(project / name) in caught.value.message


@given(LINES)
def test_whatever_stands_in_a_file_it_is_read_or_one_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "generated.toml"
    path.write_text(text)
    error = None
    try:
        load_config(path, path.parent)
    except SvcTraceError as caught:
        error = caught
    assert error is None or (error.exit_code == ExitStatus.BAD_CONFIG and error.message.startswith(str(path)))


class TestDocument:
    """docs/configuration.md holds what the code holds."""

    @pytest.mark.parametrize("table", [table for table in KEYS if table])
    def test_every_key_is_in_its_section(self, table: str) -> None:
        (section,) = re.findall(rf"^## \w+: `\[+{table}[^\n]*\n(.*?)(?=^## |\Z)", DOCUMENT, re.DOTALL | re.MULTILINE)
        rows = "".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))
        assert [key for key in KEYS[table] if f"`{key}`" not in rows] == []

    def test_every_table_has_a_section(self) -> None:
        headings = re.findall(r"^## .*$", DOCUMENT, re.MULTILINE)
        assert [key for key in KEYS[""] if not any(key in heading for heading in headings)] == []

    def test_every_protocol_and_service_has_a_row(self, project: Path) -> None:
        rows = set(re.findall(r"^\| `([^`]+)` \|", DOCUMENT, re.MULTILINE))
        assert set(MATCHERS) <= rows
        assert load_config(None, project).services.keys() <= rows

    def test_every_example_is_a_configuration(self, project: Path) -> None:
        examples = re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
        assert examples
        for example in examples:
            name = "pyproject.toml" if "tool.svc-trace" in example else "svc-trace.toml"
            load_config(write(project / name, example), project)
