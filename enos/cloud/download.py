"""A guest image from the net, by URL and checksum."""

import hashlib
import os
import urllib.request
from pathlib import Path
from typing import BinaryIO

from enos.cloud.guest import GuestImage
from enos.errors import ImageError
from enos.progress import Progress

_QCOW2 = b"QFI\xfb"
_SECONDS = 60
_CHUNK = 1024**2


def downloaded_image(
    url: str, checksum: str, cache: Path, progress: Progress, *, user: str = "root"
) -> GuestImage:
    """Return the image behind a URL, fetched when it is not in the cache.

    Args:
        url: ``https``, ``http`` or ``file``; qcow2 or raw.
        checksum: ``sha256:<hex>`` or ``sha512:<hex>``.
        cache: folder that all experiments of this user share.
        progress: told of a download.
        user: the account that takes SSH keys in it.

    Raises:
        ImageError: it cannot be had, or is not what the checksum says.

    """
    kind, _, wanted = checksum.partition(":")
    name = named(url)
    place = cache / "guest" / f"{wanted[:12]}-{name}"
    if not place.exists():
        with progress.step(f"download {name}"):
            _fetch(url, kind, wanted, place)
    stem = name.rsplit(".", 1)[0]
    return GuestImage(
        name=stem, disk=place, disk_format=_format(place), digest=wanted, user=user
    )


def named(url: str) -> str:
    """Return what the file behind a URL is called.

    >>> named("https://example.org/images/debian-13.qcow2?mirror=2")
    'debian-13.qcow2'
    """
    return url.rsplit("/", 1)[-1].partition("?")[0] or "image"


def _fetch(url: str, kind: str, wanted: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as target:
            found = _copy(url, kind, target)
            target.flush()
            os.fsync(target.fileno())
        if found != wanted:
            raise ImageError(
                f"`{url}` has the {kind} checksum `{found}`, not `{wanted}`",
                hint="correct `guest_image: checksum:`, or do not trust that server",
            )
        part.replace(place)
    except OSError as error:
        raise ImageError(
            f"`{url}` cannot be downloaded: {error}",
            hint="check the URL, or leave `guest_image` out to have one built here",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _copy(url: str, kind: str, target: BinaryIO) -> str:
    total = hashlib.new(kind)
    with urllib.request.urlopen(url, timeout=_SECONDS) as source:  # noqa: S310 - the schema admits http, https and file
        while chunk := source.read(_CHUNK):
            total.update(chunk)
            target.write(chunk)
    return total.hexdigest()


def _format(path: Path) -> str:
    with path.open("rb") as image:
        return "qcow2" if image.read(len(_QCOW2)) == _QCOW2 else "raw"
