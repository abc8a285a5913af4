"""Teardown: what exists of a deployment is looked for first, named, and only then removed."""
