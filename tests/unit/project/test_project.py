"""Tests of the project's frame: locks, packaging, sizes of layers, and forbidden content of files."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.support.checkout import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCKS = [CHECKOUT / "requirements.txt", CHECKOUT / "requirements-uv.txt"]
MAX_MODULE_LINES = 400


def tracked() -> list[str]:
    """Return the path of every file in git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path and (CHECKOUT / path).is_file()]


def pinned(lock: Path) -> dict[str, set[str]]:
    """Return the versions in a lock, by package."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==([^ ]+)", lock.read_text(), re.MULTILINE):
        versions.setdefault(name, set()).add(version)
    return versions


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_every_package_by_hash_and_names_no_address(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert len(entries) > 0
    assert [
        e for e in entries if not re.match(r"[a-z0-9.-]+==\S+.*\\\n(    --hash=sha256:[0-9a-f]{64}.*\n?)+", e)
    ] == []
    assert "://" not in lock.read_text()
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)", lock.read_text())


def test_the_lock_satisfies_every_dependency_that_the_project_declares() -> None:
    versions = pinned(CHECKOUT / "requirements.txt")
    extras = PROJECT["project"]["optional-dependencies"].values()
    declared = [Requirement(line) for group in [PROJECT["project"]["dependencies"], *extras] for line in group]
    unmet = [
        requirement
        for requirement in declared
        if not any(requirement.specifier.contains(v) for v in versions.get(requirement.name, ()))
    ]
    assert unmet == []


def test_the_installer_is_the_one_that_the_lock_names() -> None:
    assert pinned(CHECKOUT / "requirements-uv.txt") == {"uv": pinned(CHECKOUT / "requirements.txt")["uv"]}


def test_no_file_names_a_package_registry_or_a_place_on_the_authors_machine() -> None:
    # Written in two parts, so that this file does not contain the names either.
    names = [
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("repo1.maven", ".org"),
        ("maven", ".apache.org"),
        ("deb.debian", ".org"),
        ("npmjs", ".org"),
        ("crates", ".io"),
        ("proxy.golang", ".org"),
        ("/work", "/main"),
        ("/work", "/shared"),
        ("/tmp", "/lab"),
    ]
    forbidden = re.compile("|".join(re.escape(first + second) for first, second in names).encode())
    assert [path for path in tracked() if forbidden.search((CHECKOUT / path).read_bytes())] == []


def test_modules_are_short_and_named_for_what_they_hold() -> None:
    modules = [path for path in tracked() if path.endswith(".py") and path.split("/")[0] in {*PACKAGES, "deploy"}]
    assert modules
    assert [m for m in modules if len((CHECKOUT / m).read_text().splitlines()) > MAX_MODULE_LINES] == []
    assert [m for m in modules if re.search(r"util|common|helper|manager", Path(m).stem)] == []


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        packed = set(opened.namelist())
    wanted = {path for path in tracked() if path.split("/")[0] in PACKAGES}
    assert {"sql/demo/tables.sql", "connectors/postgres-orders-cdc.json", "stack/artifacts.lock"} <= wanted
    assert wanted <= packed


def test_the_workers_need_no_package_that_their_image_leaves_out() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    left_out = [Requirement(line).name.replace("-", "_") for line in [*extras["stack"], *extras["dev"]]]
    # A module that sys.modules maps to None cannot be imported.
    program = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys([*{left_out!r}, "yaml", "cjdk"]))
for package in ("connectors", "sinks", "pipeline"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        importlib.import_module(module.name)
print("imported")
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ran.stdout == "imported\n", ran.stderr


def test_a_worker_imports_the_client_of_no_store_before_it_opens_one() -> None:
    program = "import sys, pipeline.cli.run; print({'duckdb', 'elasticsearch', 'redis'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_commit_hooks_are_local_and_run_what_check_runs() -> None:
    configured = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook for repository in configured for hook in repository["hooks"]]
    assert {repository["repo"] for repository in configured} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    checks = {line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines() if "pytest" not in line}
    assert {hook["entry"].removesuffix(" --force-exclude") for hook in hooks} == checks


def test_no_docstring_begins_with_a_question_word() -> None:
    asks = re.compile(r"(What|Whether|By what|Who|Whoever|Where|How)\b")
    found = [
        f"{path}:{node.lineno}"
        for path in tracked()
        if path.endswith(".py")
        for node in ast.walk(ast.parse((CHECKOUT / path).read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if asks.match(node.value.value)
    ]
    assert found == []
