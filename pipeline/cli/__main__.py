"""`python -m pipeline.cli`: how the command starts its own workers."""

from pipeline.cli.main import main

if __name__ == "__main__":
    main()
