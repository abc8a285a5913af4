"""Error of definitions in `readmodels.toml` that cannot be built."""

from __future__ import annotations


class InvalidDefinitions(ValueError):
    """The definitions of the read models contradict themselves."""

    remedy = "Correct `readmodels.toml`: the message names the table, the document or the column."
