"""Report of the views in `sql/analytics`, as one self-contained page."""
