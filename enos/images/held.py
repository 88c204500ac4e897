"""Which set of images a registry holds that somebody filled before."""

from collections.abc import Iterable
from dataclasses import replace

from enos.errors import ImageError
from enos.images.ready import ImageSet
from enos.images.registry import Registry, answers, tags


def reached(host: str) -> Registry | None:
    """Return the registry of a name, by TLS if it speaks it; None without answer."""
    for insecure in (False, True):
        registry = Registry(host=host, insecure=insecure)
        if answers(registry):
            return registry
    return None


def held(there: Registry, candidates: Iterable[ImageSet]) -> ImageSet:
    """Return the first set of which the registry has every image, named as there.

    Raises ImageError that tells what it lacks of each.
    """
    told = []
    for images in candidates:
        lacking = [
            name
            for name in images.names
            if images.tag not in tags(there, f"{images.namespace}/{name}")
        ]
        if not lacking:
            return replace(images, registry=there.host)
        number = f"{len(lacking)} of {len(images.names)}"
        told.append(
            f"of {images.namespace}/*:{images.tag} it lacks {number}: "
            + ", ".join(lacking)
        )
    insecure = " --insecure" if there.insecure else ""
    raise ImageError(
        f"the registry `{there.host}` does not hold the images of the experiment",
        hint=f"fill it: `enos images push {there.host}{insecure}`",
        details="\n".join(told),
    )
