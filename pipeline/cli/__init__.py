"""Command line of readmodels. In the product, only this package uses the local stack."""

from pipeline.cli.main import main

__all__ = ["main"]
