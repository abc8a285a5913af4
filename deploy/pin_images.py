"""Digest pinning for all images of docker-compose.yml and the Dockerfiles: `TAG` in `.env` becomes `TAG@sha256:…`.

The owner of a tag may move it to another image; a digest names one image permanently. Docker reads the digests from the
images' registries, so this needs Docker and a network.

Source: https://docs.docker.com/reference/cli/docker/buildx/imagetools/inspect/
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_IMAGE = re.compile(r"(?:image: |FROM )(?P<name>[\w./-]+):\$\{(?P<variable>\w+_TAG)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def images(root: Path) -> dict[str, str]:
    """Return the image of each tag variable of `.env`."""
    files = [root / "docker-compose.yml", *sorted((root / "deploy").glob("*Dockerfile"))]
    return {match["variable"]: match["name"] for file in files for match in _IMAGE.finditer(file.read_text())}


def pinned(text: str, digests: Mapping[str, str]) -> str:
    """Return the text of `.env` with a digest after each tag. An existing digest is replaced.

    Args:
        digests: by the name of the variable.
    """
    for variable, digest in digests.items():
        text = re.sub(rf"^({variable}=[^@\n]+).*$", rf"\1@{digest}", text, flags=re.MULTILINE)
    return text


def tags(text: str) -> dict[str, str]:
    """Return the tags of `.env`, without digests."""
    found = re.finditer(r"^(\w+_TAG)=([^@\n]+)", text, re.MULTILINE)
    return {match[1]: match[2] for match in found}


def digest_of(image: str) -> str:
    """Return the digest of an image from its registry.

    Raises:
        SystemExit: Docker does not return a digest.
    """
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        sys.exit("Docker is not installed: it reads the digests from the images' registries.")
    digest = asked.stdout.strip()
    if asked.returncode or not _DIGEST.fullmatch(digest):
        sys.exit(f"Docker gives no digest of {image}: {asked.stderr.strip() or digest or 'no answer'}")
    return digest


def main(root: Path) -> None:
    """Rewrite `.env` of a checkout."""
    file = root / ".env"
    named = tags(file.read_text())
    digests = {variable: digest_of(f"{name}:{named[variable]}") for variable, name in images(root).items()}
    file.write_text(pinned(file.read_text(), digests))


if __name__ == "__main__":
    main(Path(__file__).parents[1])
