"""Errors that only the Elasticsearch store has."""

from __future__ import annotations

from sinks.errors import GenerationBroken


class IndexClosed(GenerationBroken):
    """An index is closed: Elasticsearch keeps its documents, but neither reads nor writes them.

    Args:
        index: its name.
    """

    def __init__(self, index: str) -> None:
        super().__init__(f"the index {index} is closed")
        self.remedy = (
            f"Send Elasticsearch `POST /{index}/_open`, then run `readmodels run`. If the index is to stay closed, run "
            "`readmodels replay elasticsearch --execute`: it builds a new one from the log."
        )
