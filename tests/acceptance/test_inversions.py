"""Tests of an insert that is logged before the delete that makes it possible, forced by two PostgreSQL sessions."""

from __future__ import annotations

import threading
from contextlib import closing

from pipeline.postgres import database
from pipeline.postgres.database import Connection
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place
from tests.support.waiting import wait_for

COLUMNS = "COPY orders (id, customer_id) FROM STDIN"
WAITS = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
WITHIN_S = 30.0


def copy_in(connection: Connection, *order_ids: int) -> None:
    """Copy orders in one COPY, which logs all rows of a page before it checks their keys."""
    with connection.transaction(), connection.cursor().copy(COLUMNS) as copy:
        for order_id in order_ids:
            copy.write_row((order_id, 23))


def test_a_row_whose_insert_was_logged_before_its_delete_is_there(pipeline: Pipeline, order_id: int) -> None:
    held, inverted = order_id, order_id + 100
    for each in (held, inverted):
        place(pipeline.source, each)
    url = pipeline.endpoints.postgres
    with closing(database.connect(url)) as deleting, closing(database.connect(url)) as copying:
        pid = copying.info.backend_pid
        copier = threading.Thread(target=copy_in, args=(copying, held, inverted))
        with deleting.transaction():
            deleting.execute("DELETE FROM orders WHERE id = %s", [held])
            copier.start()
            wait_for(lambda: pipeline.source.execute(WAITS, [pid]).fetchone() is not None, WITHIN_S, lambda: "no wait")
            deleting.execute("DELETE FROM orders WHERE id = %s", [inverted])
        copier.join()
    documents = pipeline.settled().documents
    assert [documents[each]["customer_id"] for each in (held, inverted)] == [23, 23]
    changes = {one["_op"]: one for one in pipeline.history("orders", inverted)}
    assert changes["c"]["_commit_lsn"] > changes["d"]["_commit_lsn"]
    assert changes["c"]["_lsn"] < changes["d"]["_lsn"]
