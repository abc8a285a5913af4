"""Client for Kafka Connect's REST API, which configures, monitors and stops a connector."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.util import make_headers, parse_url

from connectors.kafka_connect_status import ConnectorStatus, TaskStatus

REQUEST_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.1
REBALANCE_TIMEOUT_S = 60.0
RESTART_SHOWS_WITHIN_S = 5.0


class ConnectError(Exception):
    """Kafka Connect failed a request.

    The answer does not belong to its API: it came from a proxy in front of it, or from another server.
    """

    remedy = (
        "Correct `connect.url`: it is the address of Kafka Connect's REST API, with a user and password where they are "
        "asked for, such as http://user:password@connect:8083."
    )


class ConnectUnavailable(ConnectError):
    """Kafka Connect does not answer, or is not able to."""

    remedy = "Start Kafka Connect, or correct `connect.url`."


class ConfigRejected(ConnectError):
    """Kafka Connect rejected a connector's configuration."""

    remedy = (
        "Correct the settings that the message names in [envelopes.connector] of readmodels.toml, then run `readmodels "
        "init`. If a value is a ${env:…} reference, set that variable where Kafka Connect runs, and restart it first."
    )


class ConnectorMissing(ConnectError):
    """No connector has this name."""

    remedy = "Run `readmodels init`, which creates it."


class ConnectorFailed(ConnectError):
    """The connector or one of its tasks has failed and does not restart by itself."""

    remedy = "Remove the cause that the message names, then run `readmodels init`: it restarts what has failed."


class ConnectorNotReady(ConnectError):
    """The connector did not reach a state within the timeout."""

    remedy = (
        "Run `readmodels init`: it resumes a connector that rests, restarts one that has failed, and names the cause "
        "if it fails again."
    )


class ConnectClient:
    """Client of one Connect cluster. Every method raises `ConnectUnavailable` if it does not answer.

    Source: https://kafka.apache.org/documentation/#connect_rest
    """

    def __init__(self, url: str) -> None:
        """Set the REST address, which may contain credentials: `http://user:password@host:port`."""
        parsed = parse_url(url)
        self._base = parsed._replace(auth=None).url.rstrip("/")
        self._headers = make_headers(basic_auth=parsed.auth) if parsed.auth else {}
        self._http = urllib3.PoolManager(timeout=REQUEST_TIMEOUT_S, retries=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.clear()

    def version(self) -> str:
        """Return the Kafka version of this Connect cluster."""
        return str(self._ask("GET", "/")["version"])

    def names(self) -> list[str]:
        """Return the names of all connectors."""
        return sorted(self._ask("GET", "/connectors"))

    def put_config(self, name: str, settings: Mapping[str, str]) -> None:
        """Create the connector or change its settings. Changed settings restart it.

        Raises:
            ConfigRejected: the connector found the settings wrong, or could not reach its database with them.
        """
        # Validation is a separate request, because Connect 4.3 answers a PUT with a null pointer if validation fails:
        # https://issues.apache.org/jira/browse/KAFKA-20693
        self._validate({**settings, "name": name})
        self._ask("PUT", f"{_path(name)}/config", dict(settings))

    def create_stopped(self, name: str, settings: Mapping[str, str]) -> None:
        """Create a connector in state STOPPED, which does nothing until it is resumed.

        Raises:
            ConfigRejected: as for `put_config`.
        """
        self._validate({**settings, "name": name})
        self._ask("POST", "/connectors", {"name": name, "config": dict(settings), "initial_state": "STOPPED"})

    def config(self, name: str) -> dict[str, str]:
        """Return the connector's settings as they were given. References to secrets are not resolved.

        Raises:
            ConnectorMissing: there is no such connector.
        """
        return dict(self._ask("GET", f"{_path(name)}/config"))

    def status(self, name: str) -> ConnectorStatus:
        """Return the states of the connector and its tasks.

        Raises:
            ConnectorMissing: there is no such connector, or it has not been assigned yet.
        """
        found = self._ask("GET", f"{_path(name)}/status")
        tasks = tuple(TaskStatus(task["id"], task["state"], task.get("trace", "")) for task in found["tasks"])
        return ConnectorStatus(name, found["connector"]["state"], found["connector"].get("trace", ""), tasks)

    def restart_failed(self, name: str) -> None:
        """Restart the connector and those of its tasks that have failed. Running ones are not affected."""
        self._ask("POST", f"{_path(name)}/restart?includeTasks=true&onlyFailed=true")
        # The status shows the old failure until Connect has read its own record of the restart.
        deadline = time.monotonic() + RESTART_SHOWS_WITHIN_S
        while self.status(name).has_failed and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)

    def restart(self, name: str) -> None:
        """Restart the connector and all its tasks."""
        self._ask("POST", f"{_path(name)}/restart?includeTasks=true&onlyFailed=false")

    def pause(self, name: str) -> None:
        """Pause the connector. Its tasks keep their connections, and the slot keeps WAL."""
        self._ask("PUT", f"{_path(name)}/pause")

    def resume(self, name: str) -> None:
        """Resume a paused or stopped connector."""
        self._ask("PUT", f"{_path(name)}/resume")

    def stop(self, name: str) -> None:
        """Stop the connector. Its tasks end and release the slot; settings and offsets stay."""
        self._ask("PUT", f"{_path(name)}/stop")

    def offsets(self, name: str) -> list[dict[str, Any]]:
        """Return the connector's recorded offsets: a list of `partition` and `offset` objects."""
        return list(self._ask("GET", f"{_path(name)}/offsets")["offsets"])

    def topics(self, name: str) -> list[str]:
        """Return the topics that the connector has written to since it was created; empty if they are not tracked.

        Raises:
            ConnectorMissing: there is no such connector.
        """
        path = f"{_path(name)}/topics"
        response = self._request("GET", path, None)
        # Connect answers 403 if `topic.tracking.enable` is false.
        is_tracked = response.status != 403
        return sorted(_read(response, f"GET {path}")[name]["topics"]) if is_tracked else []

    def forget_offsets(self, name: str) -> None:
        """Delete the offsets of a stopped connector, so that it would begin with a snapshot."""
        self._ask("DELETE", f"{_path(name)}/offsets")

    def delete(self, name: str) -> None:
        """Remove the connector. Its offsets stay in Connect's own topic unless they were deleted before."""
        self._ask("DELETE", _path(name))

    def wait_until_running(self, name: str, timeout_s: float) -> None:
        """Wait until the connector and its tasks run.

        Raises:
            ConnectorFailed: one of them failed; the message has the cause.
            ConnectorNotReady: nothing failed, but `timeout_s` passed.
        """
        for status in self._statuses(name, timeout_s):
            if status.is_running:
                return
            if status.has_failed:
                raise ConnectorFailed(str(status))

    def wait_until_stopped(self, name: str, timeout_s: float) -> None:
        """Wait until the connector is stopped and has no tasks.

        Raises:
            ConnectorNotReady: `timeout_s` passed.
        """
        for status in self._statuses(name, timeout_s):
            if status.is_stopped:
                return

    def _statuses(self, name: str, timeout_s: float) -> Iterator[ConnectorStatus]:
        """Yield the status repeatedly, until `timeout_s` has passed."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                status = self.status(name)
            except ConnectorMissing:
                # Between PUT and the first assignment, Connect answers 404 for the status.
                status = ConnectorStatus(name, "UNASSIGNED", "", ())
            yield status
            if time.monotonic() > deadline:
                raise ConnectorNotReady(f"{status} after {timeout_s:g} s")
            time.sleep(POLL_INTERVAL_S)

    def _validate(self, settings: dict[str, str]) -> None:
        plugin = quote(settings["connector.class"], safe="")
        found = self._ask("PUT", f"/connector-plugins/{plugin}/config/validate", settings)
        values = [entry["value"] for entry in found["configs"] if entry["value"]]
        errors = [f"{value['name']}: {error}" for value in values for error in value["errors"]]
        if errors:
            raise ConfigRejected("; ".join(errors))

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        deadline = time.monotonic() + REBALANCE_TIMEOUT_S
        while True:
            response = self._request(method, path, body)
            # Connect rejects changes with 409 while its workers rebalance, and expects a retry.
            if response.status != 409 or time.monotonic() > deadline:
                return _read(response, f"{method} {path}")
            time.sleep(POLL_INTERVAL_S)

    def _request(self, method: str, path: str, body: object) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request(method, self._base + path, json=body, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise ConnectUnavailable(f"no answer from {self._base}: {error}") from error


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"


def _read(response: urllib3.BaseHTTPResponse, asked: str) -> Any:
    if response.status in (200, 201):
        try:
            return json.loads(response.data)
        except ValueError as error:
            # The client reports an answer that was cut within its headers as a success without a body.
            raise ConnectUnavailable(f"{asked}: {response.status}, but the answer is cut") from error
    if response.status < 300:
        return None
    message = _message(response)
    match response.status:
        case 404:
            raise ConnectorMissing(f"{asked}: {message}")
        case 400 | 422:
            raise ConfigRejected(f"{asked}: {message}")
        case 409 | 500 | 502 | 503 | 504:
            raise ConnectUnavailable(f"{asked}: {response.status} {message}")
        case _:
            raise ConnectError(f"{asked}: {response.status} {message}")


def _message(response: urllib3.BaseHTTPResponse) -> str:
    try:
        return str(json.loads(response.data)["message"])
    except (ValueError, KeyError, TypeError):
        return response.data.decode(errors="replace")[:200]
