"""Decoding of change records, Avro or JSON, into one Arrow table per topic, schema and batch."""
