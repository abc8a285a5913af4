"""Another generation of a read model, built from the log beside the live one, proved, and shown in its place."""
