"""Build of the Debezium converter, the jar that ships with the stack: `python -m deploy.build_converter`."""

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

SOURCE = Path(__file__).parent / "converter" / "readmodels" / "PostgresConverter.java"
RELEASE = "17"
"""Oldest Java that Kafka Connect 4 runs on."""

_CLASS = "readmodels/PostgresConverter.class"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def manifest() -> str:
    """Return the jar's manifest. Its digest of the source shows whether the jar must be rebuilt."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    return f"Manifest-Version: 1.0\r\nSource-SHA-256: {digest[:32]}\r\n {digest[32:]}\r\n\r\n"


def build(jar: Path) -> None:
    """Compile the source against the locked Debezium, and write the jar."""
    programs = install(default_cache(), NullReport())
    class_path = f"{programs.connect_plugins / 'debezium'}/*:{programs.kafka_classpath}"
    with tempfile.TemporaryDirectory() as folder:
        javac = find_java(NullReport()) / "bin" / "javac"
        subprocess.run([javac, "--release", RELEASE, "-cp", class_path, "-d", folder, SOURCE], check=True)  # noqa: S603 - a JDK's own compiler
        compiled = Path(folder, _CLASS).read_bytes()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF", _EPOCH), manifest())
        file.writestr(zipfile.ZipInfo(_CLASS, _EPOCH), compiled)


if __name__ == "__main__":
    build(CONVERTER)
