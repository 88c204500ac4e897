"""The page on archives tells what the code does."""

from dataclasses import fields
from pathlib import Path

import pytest

from enos.archive.manifest import HostReport, Manifest, Member, Withheld
from enos.archive.part import COMPRESSIONS
from enos.archive.plan import COMMANDS, FOLDERS, TOP, TREES, Tree
from enos.archive.redaction import DROPPED

PAGE = (Path(__file__).parents[2] / "docs/reference/archive.md").read_text()


@pytest.mark.parametrize("label", [one.label for one in (*COMMANDS, *TREES)])
def test_what_is_fetched_from_a_host_is_listed(label: str) -> None:
    assert f"`hosts/<host>/{label}" in PAGE


@pytest.mark.parametrize("tree", TREES)
def test_where_it_is_fetched_from_is_told(tree: Tree) -> None:
    assert f"`{tree.path}`" in PAGE


@pytest.mark.parametrize("name", [*TOP, *(f"{folder}/" for folder in FOLDERS)])
def test_what_is_taken_of_the_directory_is_listed(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("pattern", DROPPED)
def test_every_name_that_is_left_out_is_listed(pattern: str) -> None:
    assert f"`{pattern}`" in PAGE


@pytest.mark.parametrize("kind", [Manifest, Member, Withheld, HostReport])
def test_every_key_of_the_manifest_is_explained(kind: type) -> None:
    for one in fields(kind):
        assert f"`{one.name}`" in PAGE


def test_every_suffix_of_an_archive_is_named() -> None:
    assert all(f"`{compression.suffixes[0]}`" in PAGE for compression in COMPRESSIONS)
