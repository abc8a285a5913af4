"""The lives of the log: how one is known, that it has ended, and how another is opened."""
