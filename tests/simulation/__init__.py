"""The production worker in a simulated world: virtual time, simulated Kafka and stores, and injected faults.

A seed determines a history of the source (`tests.model_based`), its log, and all faults. From the consumer to the bytes
that go to a store, the production code runs: source, hand-over, decoding, projection, gathering, policy, sinks and
scripts. Below the clients, everything is simulated: Kafka's consumer, HTTP to Elasticsearch, and the Redis protocol
with the production Lua scripts in an embedded interpreter. DuckDB is real; its files are copied when a process is
killed. The store's contents are checked whenever they may have changed.

The simulation assumes the following, which must be ensured elsewhere:

- There is one epoch, and the topics stay the same. A worker stops if either ends.
- An operator who ends a snapshot by a sweep, or repairs a row, does so again if the store went back behind it.
- A store restored to an earlier copy is consistent: it comes back complete, as of one moment. A snapshot of an
  Elasticsearch index with several shards is not of one moment.
- The schema registry is not simulated, because the envelopes are JSON.
"""
