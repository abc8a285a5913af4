"""Store side: one package per store, and `sinks.ordering`. Imports no other package of ours and no Kafka client."""
