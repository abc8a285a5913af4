"""Check that no public class name stands twice in the product.

    python -m tests.tools.class_names

A name that stands for two things is a guess at every use. The check prints each such name with its places, and exits
with 1.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.support.checkout import CHECKOUT

PACKAGES = ("connectors", "pipeline", "sinks", "stack")


def classes(source: str) -> Iterator[tuple[str, int]]:
    """Yield the name and the line of every public class at the top level of a module."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node.lineno


def repeated(modules: Iterable[Path]) -> Mapping[str, list[str]]:
    """Return the places of every public class name that stands in more than one place."""
    places = defaultdict[str, list[str]](list)
    for module in modules:
        for name, line in classes(module.read_text()):
            places[name].append(f"{module}:{line}")
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


def main() -> int:
    """Print every repeated name, and return the exit code."""
    found = repeated(path for package in PACKAGES for path in sorted((CHECKOUT / package).rglob("*.py")))
    for name, places in found.items():
        print(f"class {name} stands {len(places)} times: {', '.join(places)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
