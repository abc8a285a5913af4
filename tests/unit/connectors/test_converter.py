"""Tests of the Debezium converter that ships as a jar."""

import zipfile

from connectors.debezium import default_configuration
from connectors.types.array_text import WIRE_NAME
from connectors.types.temporal import TIMESTAMP_WIRE_NAME
from deploy.build_converter import SOURCE, manifest
from stack.programs import CONVERTER


def test_the_jar_is_built_of_the_source_beside_it() -> None:
    with zipfile.ZipFile(CONVERTER) as jar:
        assert jar.read("META-INF/MANIFEST.MF").decode() == manifest(), "run `python -m deploy.build_converter`"


def test_the_connector_is_told_to_use_the_class_in_the_jar() -> None:
    name = default_configuration().settings["readmodels.type"]
    with zipfile.ZipFile(CONVERTER) as jar:
        assert f"{name.replace('.', '/')}.class" in jar.namelist()


def test_the_decoder_knows_the_names_under_which_it_sends() -> None:
    source = SOURCE.read_text()
    assert f'"{WIRE_NAME}"' in source
    assert f'"{TIMESTAMP_WIRE_NAME}"' in source
