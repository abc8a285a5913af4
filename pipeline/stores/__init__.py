"""Descriptions of the stores of the read models: one module or folder per store."""
