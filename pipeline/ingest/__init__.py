"""Path of a change from Kafka to a sink: consume, decode, project, write, commit."""
