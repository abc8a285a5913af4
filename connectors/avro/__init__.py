"""Columnar Avro decoding: the wire format, writer schemas, and a reader of all records of a batch at once."""
