"""The command line. Only it knows the local stack."""

from pipeline.cli.main import main

__all__ = ["main"]
