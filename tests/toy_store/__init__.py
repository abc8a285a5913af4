"""A store that is added from outside of the packages, as docs/guides/add-a-store.md describes."""
