"""Store side: one package per store, over the rule of order. It imports no other package of ours, and no Kafka."""
