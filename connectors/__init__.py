"""Source side: Debezium, Kafka Connect, topics, and decoding of change records. It imports no other package of ours."""
