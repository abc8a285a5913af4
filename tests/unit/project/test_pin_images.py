"""Tests of pinning images by digest: the tags of `.env`, and a registry's answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploy import pin_images
from tests.support.checkout import CHECKOUT

DIGEST = f"sha256:{'ab' * 32}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the files of this checkout that name images."""
    (tmp_path / "deploy").mkdir()
    for name in ("docker-compose.yml", ".env", "deploy/Dockerfile", "deploy/connect.Dockerfile"):
        shutil.copy(CHECKOUT / name, tmp_path / name)
    return tmp_path


def answering(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a `docker` that runs the script first on the PATH."""
    (folder / "bin").mkdir()
    (folder / "bin/docker").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin/docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")


def test_every_tag_of_the_environment_belongs_to_an_image() -> None:
    assert pin_images.images(CHECKOUT).keys() == pin_images.tags((CHECKOUT / ".env").read_text()).keys()


def test_every_tag_gets_its_digest_and_nothing_else_changes(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (checkout / ".env").read_text()
    answering(checkout, f'echo "$6" >> "{checkout}/asked"; echo {DIGEST}', monkeypatch)
    for _ in range(2):
        pin_images.main(checkout)
    pinned = (checkout / ".env").read_text()
    assert pinned.replace(f"@{DIGEST}", "") == before
    assert pinned.count(DIGEST) == len(pin_images.images(checkout))
    assert f"postgres:{pin_images.tags(before)['POSTGRES_TAG']}" in (checkout / "asked").read_text().splitlines()


def test_an_answer_that_is_no_digest_pins_nothing(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (checkout / ".env").read_text()
    answering(checkout, "echo 'unauthorized' >&2; exit 1", monkeypatch)
    with pytest.raises(SystemExit, match="unauthorized"):
        pin_images.main(checkout)
    assert (checkout / ".env").read_text() == before
