"""An artifact of a few bytes, with its lock entry."""

from __future__ import annotations

import hashlib

from stack.artifacts import Artifact

BYTES = b"the bytes of a file\n"
SMALL = Artifact(
    program="kafka",
    coordinate="org.example:small:jar:all:1.0",
    file="small-1.0-all.jar",
    size_bytes=len(BYTES),
    sha256=hashlib.sha256(BYTES).hexdigest(),
)
