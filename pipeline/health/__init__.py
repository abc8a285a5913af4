"""Health of a deployment: facts read from its parts, and checks that find problems in them."""
