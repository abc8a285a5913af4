"""The command `readmodels` with the toy model: `python -m tests.toy_store work toy …`."""

from pipeline.cli.main import main
from pipeline.read_models import READ_MODELS
from tests.toy_store.read_model import TOY

if __name__ == "__main__":
    READ_MODELS[TOY.name] = TOY
    main()
