"""Read models as their readers see them, one module per store."""
