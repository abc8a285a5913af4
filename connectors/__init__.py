"""Source side: Debezium, Kafka Connect, topics, and decoding of change records. Imports no other package of ours."""
