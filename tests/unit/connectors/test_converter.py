"""Tests of the Debezium converter and the transform that ship as a jar."""

import zipfile

import pytest

from connectors.debezium import default_configuration
from connectors.types.array_text import WIRE_NAME
from connectors.types.temporal import TIMESTAMP_WIRE_NAME
from deploy.build_converter import SOURCES, manifest
from stack.programs import CONVERTER


def test_the_jar_is_built_of_the_sources_beside_it() -> None:
    with zipfile.ZipFile(CONVERTER) as jar:
        assert jar.read("META-INF/MANIFEST.MF").decode() == manifest(), "run `python -m deploy.build_converter`"


@pytest.mark.parametrize("setting", ["readmodels.type", "transforms.readmodels.type"])
def test_the_connector_is_configured_with_a_class_in_the_jar(setting: str) -> None:
    name = default_configuration().settings[setting]
    with zipfile.ZipFile(CONVERTER) as jar:
        assert f"{name.replace('.', '/')}.class" in jar.namelist()


def test_kafka_connect_finds_the_transform_without_a_scan() -> None:
    with zipfile.ZipFile(CONVERTER) as jar:
        named = jar.read("META-INF/services/org.apache.kafka.connect.transforms.Transformation").decode()
    assert named.split() == [default_configuration().settings["transforms.readmodels.type"]]


def test_the_decoder_knows_the_names_under_which_the_converter_sends() -> None:
    text = "".join(source.read_text() for source in SOURCES)
    assert f'"{WIRE_NAME}"' in text
    assert f'"{TIMESTAMP_WIRE_NAME}"' in text
