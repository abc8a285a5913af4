"""Convergence after the faults: the time until the models hold everything, and a comparison with the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import duckdb
import psycopg

from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import load
from pipeline.postgres.watermark import Watermark, Watermarks, WatermarkTimeout
from pipeline.query.query import QuackNotServed, QueryFailed, run_query
from pipeline.stores.duckdb.read_model import open_duckdb
from sinks.batch import TopicPartition
from sinks.errors import SinkError
from tests.acceptance.cli_runner import MODELS
from tests.acceptance.expected import Contents, Document, Row, contents
from tests.acceptance.models import found_in_elasticsearch, got_from_redis, selected_from_duckdb
from tests.acceptance.pipeline_fixture import missing
from tests.chaos.cluster import Rig
from tests.chaos.log import Log

CONVERGES_WITHIN_S = 240.0
LOOKS_AFTER_S = 5.0
"""Time to wait for a watermark before the connector is checked."""
TICK_S = 0.1

Held = Mapping[int, Document | Row]


class NotConverged(AssertionError):
    """Everything is healed, and a model is still incomplete."""


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """The result of a cycle.

    Args:
        took_s: time from the last fault's end until the models held everything, per model; `log` is the log itself.
        in_models: differences between the models and fold(log).
        in_log: new differences between the log and PostgreSQL.
    """

    took_s: Mapping[str, float]
    in_models: list[str]
    in_log: list[str]


@dataclass
class Judge:
    """Comparison of a rig's source, log and models."""

    rig: Rig
    known_losses: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        stack = self.rig.stack
        defaults = local_defaults(self.rig.endpoints, stack.home)
        # Kafka is stopped on purpose, so its client's log is off.
        defaults["kafka"]["client"] = {"log_level": "0"}
        self._settings = load(self.rig.command.config, defaults)
        self._watermarks = Watermarks(self._settings.kafka, self._settings.connector, self._settings.connect.url)
        self.log = Log(self._settings)

    def judge(self) -> Convergence:
        """Wait until the models hold everything committed so far, and compare; no other session may write meanwhile.

        Raises:
            NotConverged: it takes too long.
        """
        began = time.monotonic()
        with closing(psycopg.connect(self.rig.endpoints.postgres, autocommit=True)) as source:
            ends = self._ends(self._watermarks.set(source), began + CONVERGES_WITHIN_S)
            took_s = {"log": time.monotonic() - began, **self._await_models(ends, began)}
            self.log.read_to(ends)
            told = self.log.fold.contents()
            lost = [*_differences("log", told, contents(source))]
        new = [one for one in lost if one not in self.known_losses]
        self.known_losses = set(lost)
        return Convergence(took_s=took_s, in_models=self._differences_of_models(told), in_log=new)

    def _ends(self, watermark: Watermark, deadline: float) -> Mapping[TopicPartition, int]:
        while True:
            try:
                return self._watermarks.wait_for(watermark, LOOKS_AFTER_S).end_offsets
            except WatermarkTimeout as error:
                if time.monotonic() > deadline:
                    raise NotConverged(str(error)) from error
                self.rig.restart_failed_connector()

    def _await_models(self, ends: Mapping[TopicPartition, int], began: float) -> dict[str, float]:
        took_s: dict[str, float] = {}
        while len(took_s) < len(MODELS):
            for model in MODELS:
                if model in took_s:
                    continue
                lacking = missing(self._progress(model), ends)
                if not lacking:
                    took_s[model] = time.monotonic() - began
                elif time.monotonic() > began + CONVERGES_WITHIN_S:
                    raise NotConverged(f"{model} lacks {lacking}")
            time.sleep(TICK_S)
        return took_s

    def _progress(self, model: str) -> Mapping[TopicPartition, int]:
        """Return the progress of a model's live generation from its store; empty while the store does not answer."""
        try:
            if model == "duckdb":
                generation = open_duckdb(self._settings).live()
                books = f"generation_{generation:06}.readmodels.progress"
                rows = run_query(self._settings, f"SELECT topic, partition, next_offset FROM {books}").to_pylist()
                return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
            with read_models.open_store(model, self._settings) as store:
                live = store.live()
                return store.sink(live).progress().offsets if live is not None else {}
        except (SinkError, QuackNotServed, QueryFailed, duckdb.Error):
            return {}

    def _differences_of_models(self, told: Contents) -> list[str]:
        endpoints = self.rig.endpoints
        orders, items = selected_from_duckdb(self._settings)
        return [
            *_differing("elasticsearch", found_in_elasticsearch(endpoints), told.documents),
            *_differing("redis", got_from_redis(endpoints.redis), told.documents),
            *_differing("duckdb orders", orders, told.orders),
            *_differing("duckdb order_items", items, told.items),
        ]


def _differences(name: str, seen: Contents, expected: Contents) -> list[str]:
    return [
        *_differing(f"{name} orders", seen.orders, expected.orders),
        *_differing(f"{name} order_items", seen.items, expected.items),
    ]


def _differing(name: str, seen: Mapping[int, Any], expected: Mapping[int, Any]) -> list[str]:
    """Return one line for each key whose values differ."""
    wrong = sorted(key for key in seen.keys() | expected.keys() if seen.get(key) != expected.get(key))
    return [f"{name} {key}: {seen.get(key)} instead of {expected.get(key)}" for key in wrong]
