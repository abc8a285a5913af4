"""Rule of order: registers, range tombstones, and the folding of changes by them."""
