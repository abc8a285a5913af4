"""Update of `artifacts.lock` from the versions below: `python -m stack.update_lock`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from jgo.maven import MavenContext
from requests import RequestException

from stack.artifacts import LOCK_NAME, Artifact, default_cache, locked
from stack.errors import DownloadFailed

KAFKA = "4.3.1"
CONNECTOR = "io.debezium:debezium-connector-postgres"
DEBEZIUM = "3.6.1.Final"
APICURIO = "3.3.3"
APICURIO_CONVERTER = "2.6.13.Final"
ELASTICSEARCH = "9.5.3"

PROGRAMS = {
    "kafka": [
        f"org.apache.kafka:kafka_2.13:{KAFKA}",
        f"org.apache.kafka:connect-runtime:{KAFKA}",
        f"org.apache.kafka:connect-json:{KAFKA}",
        f"org.apache.kafka:connect-transforms:{KAFKA}",
        "org.slf4j:slf4j-simple:1.7.36",
    ],
    "debezium": [f"{CONNECTOR}:{DEBEZIUM}"],
    "avro-converter": [f"io.apicurio:apicurio-registry-utils-converter:{APICURIO_CONVERTER}"],
}
DISTRIBUTIONS = {
    "registry": f"io.apicurio:apicurio-registry-app:tar.gz:all:{APICURIO}",
    "elasticsearch": f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:zip:{ELASTICSEARCH}",
}

_OFFERED_BY_CONNECT = re.compile(
    r"(kafka-clients|connect-api|connect-json|lz4-java|slf4j-api|snappy-java|zstd-jni|.*ws\.rs-api)$"
)
"""Artifacts that plugin folders must leave out, because an older copy of one breaks Connect's plugin discovery."""

_HEADER = "# The servers' files and their sums. Rewritten by `python -m stack.update_lock`; not edited by hand.\n"


def resolve(context: MavenContext) -> list[Artifact]:
    """Download and describe every file that the programs need."""
    found: list[Artifact] = []
    for program, roots in PROGRAMS.items():
        found += _resolved(context, program, roots)
    for program, coordinate in DISTRIBUTIONS.items():
        group, name, packaging, *classifier, version = coordinate.split(":")
        component = context.project(group, name).at_version(version)
        file = Path(component.artifact("".join(classifier), packaging).resolve())
        found.append(_described(program, coordinate, file))
    return sorted(found, key=lambda artifact: (artifact.program, artifact.coordinate))


def with_debezium(version: str, resolving: Path) -> list[Artifact]:
    """Return the shipped lock with another version of the connector and its dependencies.

    Args:
        resolving: the folder in which Maven's files are looked up and kept.

    Raises:
        DownloadFailed: there is no such version, or a file could not be fetched.
    """
    others = [artifact for artifact in locked() if artifact.program != "debezium"]
    try:
        own = _resolved(MavenContext(repo_cache=resolving), "debezium", [f"{CONNECTOR}:{version}"])
    except (RequestException, RuntimeError) as error:
        raise DownloadFailed(f"Debezium {version} could not be fetched: {error}") from error
    return sorted(others + own, key=lambda artifact: (artifact.program, artifact.coordinate))


def _resolved(context: MavenContext, program: str, roots: list[str]) -> list[Artifact]:
    """Return the files of a program and of its dependencies."""
    inputs, rest = context.resolver.resolve([context.create_dependency(root) for root in roots])
    found = []
    for dependency in inputs + rest:
        if program != "kafka" and _OFFERED_BY_CONNECT.match(dependency.artifactId):
            continue
        artifact = dependency.artifact
        coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.packaging}:{artifact.version}"
        found.append(_described(program, coordinate, Path(artifact.resolve())))
    return found


def write(artifacts: list[Artifact], lock: Path) -> None:
    """Write the lock file."""
    entries = [
        f'\n[[artifact]]\nprogram = "{artifact.program}"\ncoordinate = "{artifact.coordinate}"\n'
        f'file = "{artifact.file}"\nsize_bytes = {artifact.size_bytes}\nsha256 = "{artifact.sha256}"\n'
        for artifact in artifacts
    ]
    lock.write_text(_HEADER + "".join(entries))


def _described(program: str, coordinate: str, file: Path) -> Artifact:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Artifact(
        program=program,
        coordinate=coordinate,
        file=file.name,
        sha256=digest,
        size_bytes=file.stat().st_size,
    )


if __name__ == "__main__":
    write(resolve(MavenContext(repo_cache=default_cache() / "resolving")), Path(__file__).with_name(LOCK_NAME))
