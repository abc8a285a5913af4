"""Everything that joins the source side to the stores, in layers, from the command line down to the settings."""
