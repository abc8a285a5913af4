"""Layout of Connect's plugin folder, from the lock of the local stack: `python -m deploy.connect_plugins FOLDER`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from stack.artifacts import fetch, locked
from stack.programs import CONVERTER
from stack.progress import NullReport

PROGRAMS = ("avro-converter", "debezium")
"""Programs of the lock that are plugins. The rest of Connect is part of Kafka."""


def lay_out(folder: Path) -> None:
    """Fetch and check the jars of the plugins, and put each plugin into its own folder below `folder`.

    Raises:
        ChecksumMismatch: a jar is not the one that the lock names.
        DownloadFailed: a jar could not be fetched.
    """
    wanted = [artifact for artifact in locked() if artifact.program in PROGRAMS]
    with tempfile.TemporaryDirectory() as cache:
        for artifact, file in fetch(wanted, Path(cache), NullReport()).items():
            place = folder / artifact.program
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place / artifact.file)
    shutil.copyfile(CONVERTER, folder / "debezium" / CONVERTER.name)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
