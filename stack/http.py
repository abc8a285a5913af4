"""HTTP check of a local server."""

from __future__ import annotations

import urllib3
from urllib3.exceptions import HTTPError

_HTTP = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(5))


def answers(url: str) -> bool:
    """Return whether a GET of `url` succeeds now."""
    try:
        return _HTTP.request("GET", url).status == 200
    except HTTPError:
        return False
