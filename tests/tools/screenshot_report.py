"""Screenshots of a report in real Chromium, on a phone and at a desk, light and dark.

    python -m tests.tools.screenshot_report report.html docs

It fails where the page is wider than the screen, asks for anything, or complains. Chromium is Debian's package
`chromium`; no test needs it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.sync.client import ClientConnection, connect

SCREENS = {"phone": (390, 844, 1), "desk": (1280, 900, 1)}
SCHEMES = ("light", "dark")
MOST_PX = 1500
FORMAT = "webp"
STARTS_WITHIN_S = 60
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
SIZES = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"


class Tab:
    """A page of a browser, spoken to by Chrome's own protocol.

    Source: https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._asked = 0
        self.told: list[dict[str, Any]] = []

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Ask for something, and note whatever else is told meanwhile."""
        self._asked += 1
        self._connection.send(json.dumps({"id": self._asked, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(60))
            if message.get("id") == self._asked:
                assert "error" not in message, message
                answer: dict[str, Any] = message["result"]
                return answer
            self.told.append(message)

    def wait_for(self, event: str) -> None:
        """Wait until an event was told."""
        while not any(one.get("method") == event for one in self.told):
            self.told.append(json.loads(self._connection.recv(60)))


@contextmanager
def browser(program: str) -> Iterator[Tab]:
    """A browser of its own, with one empty page."""
    with TemporaryDirectory(prefix="photograph-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.DEVNULL
        )
        try:
            port = _port(Path(profile) / "DevToolsActivePort")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as listed:
                address = next(one["webSocketDebuggerUrl"] for one in json.load(listed) if one["type"] == "page")
            with connect(address, max_size=None) as connection:
                yield Tab(connection)
        finally:
            process.terminate()
            process.wait()


def _port(file: Path) -> str:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.1)
    return file.read_text().split()[0]


def photograph(tab: Tab, page: Path, screen: str, scheme: str) -> bytes:
    """A picture of the upper part of a page."""
    width, height, scale = SCREENS[screen]
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": screen == "phone"}
    tab.ask("Emulation.setDeviceMetricsOverride", **metrics)
    tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.told.clear()
    tab.ask("Page.navigate", url=page.absolute().as_uri())
    tab.wait_for("Page.loadEventFired")
    scroll_width, scroll_height = tab.ask("Runtime.evaluate", expression=SIZES, returnByValue=True)["result"]["value"]
    asked = [one["params"]["request"]["url"] for one in tab.told if one.get("method") == "Network.requestWillBeSent"]
    complaints = [
        one["params"] for one in tab.told if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")
    ]
    assert scroll_width <= width, f"the page is {scroll_width} px wide, and the {screen} {width} px"
    assert asked == [page.absolute().as_uri()], asked
    assert not complaints, complaints
    clip = {"x": 0, "y": 0, "width": width, "height": min(scroll_height, MOST_PX), "scale": 1}
    shot = tab.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip, format=FORMAT, quality=80)
    return base64.b64decode(shot["data"])


def main(page: Path, folder: Path, program: str = "/usr/bin/chromium") -> None:
    """Write `report-SCREEN-SCHEME.webp` for every screen and scheme."""
    with browser(program) as tab:
        for domain in ("Page", "Network", "Log", "Runtime"):
            tab.ask(f"{domain}.enable")
        for screen in SCREENS:
            for scheme in SCHEMES:
                target = folder / f"report-{screen}-{scheme}.{FORMAT}"
                target.write_bytes(photograph(tab, page, screen, scheme))
                print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
