from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from enos import content
from enos.config.schema import ExperimentFile, experiment_schema
from enos.config.source import read

ROLES = "{clusterA: {control: 1}, clusterB: {compute: 2}}"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = experiment_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def plain(file: Path) -> Any:  # noqa: ANN401 - any YAML value
    return read(file, environ={}).value


@pytest.mark.parametrize("name", content.names("topologies"))
def test_the_json_schema_accepts_what_is_shipped(
    validator: Draft202012Validator, name: str
) -> None:
    validator.validate(plain(content.find("topologies", name)))


@pytest.mark.parametrize(
    "text",
    [
        "registry: internal",
        "images: build",
        "images: {source: pull}",
        "registry: {type: external, ip: r.org, port: 1}",
        "release: 2025.2",
        "release: '2025.2'",
        "kolla-ansible: kolla-ansible",
        "network_constraints: {src: a, dest: b, symetric: true}",
        "network constraints: {default_delay: 1ms, except: a}",
        "network_constraints: {constraints: [{src: a, dst: b, loss: 0}]}",
        "provider: {type: local, anything: 1}",
        "topology: {'grp[1-3]': {a: {control: 1}}}",
        "kolla: {anything: [1]}",
        "guest_image: {url: 'file:///x', checksum: 'sha256:X'}".replace("X", "a" * 64),
    ],
)
def test_the_json_schema_accepts_every_spelling(
    validator: Draft202012Validator, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "experiment.yml"
    file.write_text(f"{text}\nresources: {ROLES}\n", encoding="utf-8")
    validator.validate(plain(file))


@pytest.mark.parametrize(
    "text",
    [
        "registri: internal",
        "registry: extern",
        "images: quay",
        "virt: xen",
        "release: 2024.1",
        "network_constraints: {constraints: [{dst: b}]}",
        "network_constraints: {constraints: [{src: a, dst: b, deley: 1ms}]}",
        "provider: {cpus: 1}",
        "fake_computes: 0",
    ],
)
def test_the_json_schema_refuses_what_is_wrong(
    validator: Draft202012Validator, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "experiment.yml"
    file.write_text(text, encoding="utf-8")
    assert not validator.is_valid(plain(file))


def test_every_key_is_described_and_has_an_example() -> None:
    for name, field in ExperimentFile.model_fields.items():
        assert field.deprecated or (field.description and field.examples), name
