"""Tests that every remedy of the product is registered, and that its commands exist."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator

from tests.remedies.commands import commands, parse, require_setting, settings
from tests.remedies.page import PAGE, written
from tests.remedies.printed import PACKAGES, printed
from tests.remedies.register import Proof, entries
from tests.support.checkout import CHECKOUT

GIVES_ITS_OWN = {
    "connectors.errors:SourceContractViolation",
    "connectors.errors:DependencyUnavailable",
    "pipeline.invalid_config:InvalidConfig",
    "pipeline.postgres.preconditions:SourceNotReady",
    "pipeline.setup.snapshots:SnapshotIncomplete",
    "pipeline.teardown.found:NotRemoved",
    "sinks.redis.errors:UnsupportedServer",
}
"""Exceptions whose remedy depends on the finding, and base classes whose subclasses have their own."""

NEVER_SHOWN = {
    "pipeline.row_filter:InvalidFilter",
    "connectors.types.vectorized:_SlowPathNeeded",
    "connectors.avro.cursor:NotColumnar",
    "connectors.avro.schema:UnresolvedSchema",
    "connectors.types.iso8601:MalformedTime",
    "connectors.decode.avro_table:NotAnEnvelope",
    "pipeline.postgres.watermark:WatermarkInsideTransaction",
    "pipeline.ingest.retry:StopRequested",
    "sinks.duckdb.quack.proxy:RequestRefused",
    "sinks.duckdb.quack.messages:MalformedMessage",
    "pipeline.verify.json_value:Malformed",
}
"""Exceptions that are always caught, and are converted to one with a remedy or to none."""


def is_test(name: str) -> bool:
    """Return whether a module has a test of this name."""
    path, _, function = name.partition("::")
    body = ast.parse((CHECKOUT / path).read_text()).body
    return function in {node.name for node in body if isinstance(node, ast.FunctionDef)}


def exception_types() -> Iterator[tuple[str, type[Exception]]]:
    """Yield every exception type that the product defines."""
    for package in PACKAGES:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            if path.stem == "__main__":
                continue
            module = importlib.import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
            for name, found in vars(module).items():
                is_own = inspect.isclass(found) and found.__module__ == module.__name__
                if is_own and issubclass(found, Exception):
                    yield f"{module.__name__}:{name}", found


def test_every_remedy_has_one_entry_in_the_register() -> None:
    found = {remedy: [entry for entry in entries() if entry.is_about(remedy)] for remedy in printed()}
    assert not [(remedy.owner, remedy.text) for remedy, about in found.items() if len(about) != 1]


def test_every_entry_is_about_one_remedy() -> None:
    found = {entry: [remedy for remedy in printed() if entry.is_about(remedy)] for entry in entries()}
    assert not [(entry.owner, entry.says) for entry, about in found.items() if len(about) != 1]


def test_the_tests_that_carry_remedies_out_exist() -> None:
    assert not [name for entry in entries() for name in entry.tests if not is_test(name)]


def test_only_remedies_that_are_carried_out_name_a_test() -> None:
    assert all(bool(entry.tests) is (entry.proof is Proof.CARRIED_OUT) for entry in entries())


def test_the_commands_in_remedies_exist_with_their_options() -> None:
    for remedy in printed():
        for words in commands(remedy.text):
            parse(words)


def test_the_settings_in_remedies_exist() -> None:
    for remedy in printed():
        for section, name in settings(remedy.text):
            require_setting(section, name)


def test_an_exception_of_the_product_has_a_remedy_or_is_never_shown() -> None:
    without = {name for name, found in exception_types() if not inspect.getattr_static(found, "remedy", None)}
    assert without - {remedy.owner for remedy in printed()} - GIVES_ITS_OWN == NEVER_SHOWN


def test_the_page_of_remedies_matches_the_code() -> None:
    assert PAGE.read_text() == written(), "write it anew: python -m tests.remedies"
