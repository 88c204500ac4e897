"""Images from a Docker daemon into a registry, layers as they are.

`docker push` compresses every layer with gzip, minutes of work for images that stay
inside one network. Here `docker save` hands the layers out as plain tar files, which
registries and Docker take as well (image manifest V2, schema 2:
`application/vnd.docker.image.rootfs.diff.tar`). Each blob is sent once, only if the
registry lacks it. No daemon has to be told to trust a registry without TLS.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from enos.errors import ImageError
from enos.images.daemon import Daemon
from enos.images.registry import (
    FAILURES,
    Registry,
    has_blob,
    put_blob,
    put_manifest,
    refused,
)
from enos.images.sources import DRAFT
from enos.progress import Progress

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file of an image as a registry keeps it."""

    path: Path
    kind: str
    digest: str
    size: int

    @property
    def described(self) -> dict[str, Any]:
        """Return it as a manifest names it."""
        return {"mediaType": self.kind, "size": self.size, "digest": self.digest}


def push(
    daemon: Daemon,
    registry: Registry,
    images: Mapping[str, str],
    *,
    scratch: Path,
    progress: Progress,
) -> None:
    """Push images (reference in the daemon → ``repository:tag`` in the registry).

    Raises ImageError when the registry refuses; `scratch` takes them unpacked.
    """
    with (
        progress.step(f"{len(images)} images to {registry.host}") as step,
        TemporaryDirectory(dir=scratch, prefix=DRAFT) as folder,
    ):
        step.awaiting("docker save")
        archive = Path(folder) / "images.tar"
        daemon.run("save", "--output", archive, *images)
        tree = Path(folder) / "tree"
        tree.mkdir()
        daemon.shell.run(["tar", "-C", tree, "-xf", archive])
        archive.unlink()
        known: dict[Path, Blob] = {}
        for entry in json.loads((tree / "manifest.json").read_text(encoding="utf-8")):
            for name in entry["RepoTags"] or ():
                if name in images:
                    step.awaiting(images[name])
                    _push(registry, tree, entry, images[name], known)


def _push(
    registry: Registry,
    tree: Path,
    entry: Mapping[str, Any],
    name: str,
    known: dict[Path, Blob],
) -> None:
    repository, _, tag = name.rpartition(":")
    config = _blob(tree / entry["Config"], CONFIG, known)
    layers = [_blob(tree / path, LAYER, known) for path in entry["Layers"]]
    try:
        for blob in (config, *layers):
            _send(registry, repository, blob)
        put_manifest(registry, repository, tag, MANIFEST, manifest(config, layers))
    except FAILURES as error:
        raise refused(registry, f"taking {name}", error) from error


def manifest(config: Blob, layers: list[Blob]) -> bytes:
    """Return an image manifest V2, schema 2."""
    content = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.described,
        "layers": [layer.described for layer in layers],
    }
    return json.dumps(content, indent=3).encode()


def _blob(path: Path, kind: str, known: dict[Path, Blob]) -> Blob:
    path = path.resolve()  # Docker before 25 links layers that images share
    if path not in known:
        if not path.is_file():
            message = f"`docker save` wrote no `{path.name}`"
            raise ImageError(message, hint="check Docker's version and its disk")
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size = path.stat().st_size
        known[path] = Blob(path=path, kind=kind, digest=f"sha256:{digest}", size=size)
    return known[path]


def _send(registry: Registry, repository: str, blob: Blob) -> None:
    if not has_blob(registry, repository, blob.digest):
        with blob.path.open("rb") as content:
            put_blob(registry, repository, blob.digest, blob.size, content)
