"""Histories of a source and of the log that a faulty connector makes of them, drawn by Hypothesis.

What the model takes for granted, and what therefore has to be seen to elsewhere:

- A second snapshot comes with a new replication slot. With the old one, a transaction that began before the snapshot
  could be streamed after it, and an insert that it logged early would lose to a delete that was streamed long ago.
- Opening an epoch fences the producers of the one before: a zombie's batch past that point would count as new.
- No truncate falls between the read and the close of an incremental snapshot's chunk, for Debezium leaves out of the
  chunk only what changed by key.
- An epoch with a second snapshot keeps every row in the partition that it has had so far. That snapshot's sweep knows
  by partition where it began, and takes the partition of whichever change it meets. Once rows have changed their
  partitions, a further snapshot therefore opens an epoch.
"""
