"""Packages at different versions in two sets of images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.errors import ImageError
from enos.images.daemon import Daemon
from enos.images.diff import (
    Difference,
    differences,
    image_set,
    inventory,
    parse,
    render,
)
from enos.testing.recording import RecordingProgress, RecordingShell

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
inventories = st.dictionaries(
    st.sampled_from(["cron", "nova-api", "base"]),
    st.dictionaries(st.tuples(st.sampled_from(["os", "python"]), words), words),
)


def test_python_names_are_compared_in_their_normal_form() -> None:
    assert parse("python oslo.config 1\npython Oslo_Config 2\n") == {
        ("python", "oslo-config"): "2"
    }


@given(st.text())
def test_whatever_an_image_prints_can_be_read(text: str) -> None:
    assert all(
        kind and name and version for (kind, name), version in parse(text).items()
    )


@given(inventories)
def test_a_set_does_not_differ_from_itself(
    some: dict[str, dict[tuple[str, str], str]],
) -> None:
    assert differences(some, some) == ()


@given(inventories, inventories)
def test_differences_are_the_same_seen_from_the_other_side(
    a: dict[str, dict[tuple[str, str], str]], b: dict[str, dict[tuple[str, str], str]]
) -> None:
    there, back = differences(a, b), differences(b, a)
    swapped = {(d.kind, d.package, d.right, d.left, d.images) for d in back}
    assert {(d.kind, d.package, d.left, d.right, d.images) for d in there} == swapped


def test_one_row_per_difference_names_all_images_it_shows_in() -> None:
    left = {"a": {("os", "bash"): "1"}, "b": {("os", "bash"): "1", ("os", "x"): "1"}}
    right = {"a": {("os", "bash"): "2"}, "b": {("os", "bash"): "2"}}
    row = Difference(kind="os", package="bash", left="1", right="2", images=("a", "b"))
    assert differences(left, right) == (row,)
    assert render([row]).splitlines() == [
        "package    left  right  images",
        "bash (os)  1     2      a, b",
    ]


def test_a_set_is_found_by_namespace_and_tag() -> None:
    shell = RecordingShell()
    listed = "kolla/a:1 sha256:1\nkolla/b:2 sha256:2\nquay.io/kolla/a:1 sha256:3\n"
    shell.on("docker images*", stdout=listed)
    daemon = Daemon(shell=shell)
    assert image_set(daemon, "kolla:1") == {"a": "kolla/a:1"}
    assert image_set(daemon, "quay.io/kolla:1") == {"a": "quay.io/kolla/a:1"}
    with pytest.raises(ImageError, match="`kolla:9`"):
        image_set(daemon, "kolla:9")


def test_an_image_that_cannot_be_looked_into_is_named() -> None:
    shell = RecordingShell()
    shell.on("docker run*", returncode=125, stderr="no sh")
    with pytest.raises(ImageError, match="`kolla/a:1`"):
        inventory(Daemon(shell=shell), {"a": "kolla/a:1"}, RecordingProgress())
