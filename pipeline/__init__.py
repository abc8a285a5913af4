"""Pipeline: the link between the source side and the stores, in layers from the command line down to the settings."""
