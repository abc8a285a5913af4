"""The production worker in a simulated world: on virtual time, over simulated Kafka and stores, in a storm of faults.

A seed decides a history of the source (`tests.model_based`), the log that tells it, and everything that befalls it on
the way. From the consumer to the bytes that go to a store, the production code runs: source, hand-over, decoding,
projection, gathering, policy, sinks and scripts. Below the clients, everything is simulated: Kafka's consumer, HTTP to
Elasticsearch, Redis' wire with the production Lua in an embedded interpreter; DuckDB is real, in files that are copied
where a process is killed. Whatever the store holds is looked at whenever it may have changed.

What it takes for granted, and what therefore has to be seen to elsewhere:

- One epoch, and topics that stay as they are. What ends either stops a worker.
- Whoever ends a snapshot by a sweep, or repairs a row, does so again where the store went back behind it.
- A store that is restored to an earlier copy comes back whole, at one moment: a snapshot of an Elasticsearch index with
  several shards is not of one moment.
- Nothing is simulated of the schema registry, for the envelopes are JSON.
"""
