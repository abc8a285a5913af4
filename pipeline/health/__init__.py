"""Health of a deployment: the facts that are read, and the checks that find problems in them."""
