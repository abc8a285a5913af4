"""Build of the jar that ships with the stack, with our converter and transform: `python -m deploy.build_converter`."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import zipfile
from pathlib import Path

from stack.artifacts import default_cache
from stack.java import find_java
from stack.programs import CONVERTER, install
from stack.progress import NullReport

SOURCES = tuple(sorted((Path(__file__).parent / "converter" / "readmodels").glob("*.java")))
RELEASE = "17"
"""Oldest Java that Kafka Connect 4 runs on."""

_SERVICES = {"META-INF/services/org.apache.kafka.connect.transforms.Transformation": "readmodels.DropDefaults\n"}
"""Files that name plugins, so that Connect need not scan every class.

Source: https://kafka.apache.org/documentation/#connect_plugindiscovery
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def manifest() -> str:
    """Return the jar's manifest. Its digest of the sources shows whether the jar must be rebuilt."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()
    return f"Manifest-Version: 1.0\r\nSource-SHA-256: {digest[:32]}\r\n {digest[32:]}\r\n\r\n"


def build(jar: Path) -> None:
    """Compile the sources against the locked Debezium, and write the jar."""
    programs = install(default_cache(), NullReport())
    class_path = f"{programs.connect_plugins / 'debezium'}/*:{programs.kafka_classpath}"
    with tempfile.TemporaryDirectory() as folder:
        javac = find_java(NullReport()) / "bin" / "javac"
        subprocess.run([javac, "--release", RELEASE, "-cp", class_path, "-d", folder, *SOURCES], check=True)  # noqa: S603 - a JDK's own compiler
        content: dict[str, str | bytes] = {"META-INF/MANIFEST.MF": manifest(), **_SERVICES}
        for compiled in sorted(Path(folder).rglob("*.class")):
            content[str(compiled.relative_to(folder))] = compiled.read_bytes()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in content.items():
            file.writestr(zipfile.ZipInfo(name, _EPOCH), text)


if __name__ == "__main__":
    build(CONVERTER)
