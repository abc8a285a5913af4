"""Entry point `python -m pipeline.cli`, with which the command starts its workers."""

from pipeline.cli.main import main

if __name__ == "__main__":
    main()
