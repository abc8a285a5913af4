"""Histories of a source, and of the log that a faulty connector writes, drawn by Hypothesis.

The model assumes the following, which must be ensured elsewhere:

- A second snapshot uses a new replication slot. With the old slot, a transaction that began before the snapshot could
  be streamed after it, and an insert that it logged early would lose to a delete that was streamed long ago.
- Opening an epoch fences the producers of the previous one: a zombie's batch after that point would count as new.
- No truncate falls between the read and the close of an incremental snapshot's chunk, because Debezium removes only
  changes by key from the chunk.
- An epoch with a second snapshot keeps every row in its partition. That snapshot's sweep knows its start offset by
  partition, and uses the partition of the change that it meets. Once rows have changed their partitions, a further
  snapshot therefore opens an epoch.
"""
