"""Command line of readmodels, the only package that uses the local stack."""

from pipeline.cli.main import main

__all__ = ["main"]
