"""Print the tests of the last run that failed, a line each, as pytest's cache has them."""

import json
from pathlib import Path

CACHE = Path(".pytest_cache/v/cache/lastfailed")

if __name__ == "__main__":
    for test in json.loads(CACHE.read_text()) if CACHE.exists() else ():
        print(test)
