"""The two programs in the node image that give and take images, on small folders."""

import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("processes")
PROGRAMS = Path(str(files("enos_local"))) / "node/rootfs/usr/lib/enos"


def run(name: str, *arguments: object) -> None:
    argv = (sys.executable, PROGRAMS / name, *map(str, arguments))
    subprocess.run(argv, check=True, capture_output=True)


def add_layer(store: Path, number: int, *, parent: int | None = None) -> None:
    own = store / f"docker/overlay2/id{number}"
    (own / "diff").mkdir(parents=True)
    (own / "diff/file").write_text(f"of {number}")
    (own / "link").write_text(f"SHORT{number}")
    if parent is not None:
        (own / "lower").write_text(f"l/SHORT{parent}")
    chain = store / f"docker/image/overlay2/layerdb/sha256/chain{number}"
    chain.mkdir(parents=True)
    (chain / "cache-id").write_text(f"id{number}")


def name_images(store: Path, **images: str) -> None:
    image = store / "docker/image/overlay2"
    content = image / "imagedb/content/sha256"
    content.mkdir(parents=True, exist_ok=True)
    for config in images.values():
        (content / config).write_text("{}")
    (image / "distribution").mkdir(exist_ok=True)
    named = {name: {f"{name}:1": f"sha256:{c}"} for name, c in images.items()}
    (image / "repositories.json").write_text(json.dumps({"Repositories": named}))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    found = tmp_path / "store"
    add_layer(found, 1)
    add_layer(found, 2, parent=1)
    (found / "docker/overlay2/container/diff").mkdir(parents=True)
    name_images(found, one="c1", two="c2")
    return found


def names(root: Path) -> set[str]:
    text = (root / "image/overlay2/repositories.json").read_text()
    return set(json.loads(text)["Repositories"])


def check_node(root: Path, *numbers: int) -> None:
    for number in numbers:
        own = root / f"overlay2/id{number}"
        assert (own / "diff").is_symlink()
        assert (own / "committed").exists()
        by_short = root / f"overlay2/l/SHORT{number}/file"
        assert by_short.read_text() == f"of {number}"


def test_a_node_takes_every_image_and_no_container(store: Path, tmp_path: Path) -> None:
    run("publish-images", store)
    run("take-images", store, tmp_path / "node")
    check_node(tmp_path / "node", 1, 2)
    assert names(tmp_path / "node") == {"one", "two"}
    assert not (tmp_path / "node/overlay2/container").exists()
    assert (tmp_path / "node/overlay2/id2/lower").read_text() == "l/SHORT1"


def test_the_builder_keeps_its_images(store: Path) -> None:
    run("publish-images", store)
    own = store / "docker/overlay2/id1"
    assert (own / "diff/file").read_text() == "of 1"
    assert (store / "docker/overlay2/container/diff").is_dir()


def test_images_the_builder_throws_away_stay_until_swept(
    store: Path, tmp_path: Path
) -> None:
    run("publish-images", store)
    run("take-images", store, tmp_path / "node")
    shutil.rmtree(store / "docker/overlay2/id2")
    shutil.rmtree(store / "docker/image/overlay2/layerdb/sha256/chain2")
    name_images(store, one="c1")
    run("publish-images", store)
    check_node(tmp_path / "node", 1, 2)
    run("publish-images", store, "--sweep")
    assert sorted(path.name for path in (store / "layers").iterdir()) == ["id1"]


def test_a_publication_killed_between_two_steps_goes_on(
    store: Path, tmp_path: Path
) -> None:
    # Moved, but the link back was not made yet; and half a set was written.
    (store / "layers/id1").mkdir(parents=True)
    (store / "layers/id1/link").write_text("SHORT1")
    (store / "docker/overlay2/id1/diff").rename(store / "layers/id1/diff")
    (store / "layers/id2").mkdir()
    (store / "sets/.fresh/image").mkdir(parents=True)
    run("publish-images", store)
    assert (store / "docker/overlay2/id1/diff/file").read_text() == "of 1"
    run("take-images", store, tmp_path / "node")
    check_node(tmp_path / "node", 1, 2)


def test_a_node_that_has_images_gets_those_made_later(
    store: Path, tmp_path: Path
) -> None:
    run("publish-images", store)
    node = tmp_path / "node"
    run("take-images", store, node)
    own = node / "image/overlay2/repositories.json"
    mine = {"Repositories": {"mine": {"mine:1": "sha256:c9"}}}
    own.write_text(json.dumps(mine))
    add_layer(store, 3, parent=2)
    name_images(store, three="c3")
    run("publish-images", store)
    run("take-images", store, node)
    check_node(node, 1, 2, 3)
    assert names(node) == {"mine", "three"}


def test_a_taking_killed_half_way_goes_on(store: Path, tmp_path: Path) -> None:
    run("publish-images", store)
    node = tmp_path / "node"
    (node / "overlay2/id1").mkdir(parents=True)
    (node / "image/overlay2/layerdb/sha256/.fresh-chain1").mkdir(parents=True)
    run("take-images", store, node)
    check_node(node, 1, 2)
    assert names(node) == {"one", "two"}


def test_a_store_without_images_gives_none(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "docker/image/overlay2/layerdb/sha256").mkdir(parents=True)
    run("publish-images", store)
    run("take-images", store, tmp_path / "node")
    assert names(tmp_path / "node") == set()
