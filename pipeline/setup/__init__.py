"""Setup of a deployment: source, connector, topics and first generations."""
