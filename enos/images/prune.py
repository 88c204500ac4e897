"""Which images of earlier recipes can go, and removing them.

Every change of a recipe makes images under a new tag; nothing else ever removes the
old ones.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from enos.images import ready, recipe
from enos.images.daemon import Daemon
from enos.images.ready import Workplace

_IDENTITY = re.compile(r"(?P<release>\d{4}\.\d)-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An image that enos built.

    Attributes:
        created: in an order that is the order of time.

    """

    name: str
    tag: str
    created: str

    @property
    def reference(self) -> str:
        """Return its full name."""
        return f"{self.name}:{self.tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What is removed.

    Attributes:
        images: full names.
        kept: tag → why it stays.
        tags: the tags that end with it.

    """

    images: tuple[str, ...]
    kept: dict[str, str]
    tags: tuple[str, ...]


def plan_prune(
    stored: Iterable[Stored],
    *,
    used: Iterable[str] = (),
    current: Iterable[str] = (),
) -> PrunePlan:
    """Return which images can go: all but the used, the current and the newest.

    Args:
        stored: images of a daemon that enos built.
        used: tags that experiments with machines run.
        current: tags that this enos would build.

    """
    images = tuple(stored)
    newest: dict[str, Stored] = {}
    for one in images:
        release = _release(one.tag)
        if release not in newest or newest[release].created < one.created:
            newest[release] = one
    why = {one.tag: f"newest of {release}" for release, one in newest.items()}
    why |= dict.fromkeys(current, "what this enos builds")
    why |= dict.fromkeys(used, "an experiment has machines with it")
    tags = dict.fromkeys(one.tag for one in images)
    return PrunePlan(
        images=tuple(one.reference for one in images if one.tag not in why),
        kept={tag: why[tag] for tag in tags if tag in why},
        tags=tuple(tag for tag in tags if tag not in why),
    )


def stored(daemon: Daemon) -> tuple[Stored, ...]:
    """Return the images of a daemon that enos built, whatever the recipe."""
    form = "{{.Repository}} {{.Tag}} {{.CreatedAt}}"
    told = daemon.run("images", "--format", form, f"{recipe.NAMESPACE}/*").stdout
    rows = (line.split(" ", 2) for line in told.splitlines())
    return tuple(
        Stored(name=name, tag=tag, created=created)
        for name, tag, created in rows
        if _release(tag)
    )


def prune(place: Workplace, plan: PrunePlan) -> tuple[str, ...]:
    """Remove what was planned, sources included; return images that had to stay.

    Docker keeps those that a container was made from.
    """
    if not plan.images:
        return ()
    with (
        ready.alone(place.cache) as home,
        place.progress.step(f"removing {len(plan.images)} images"),
    ):
        place.daemon.run("rmi", *plan.images, check=False)
        for tag in plan.tags:
            shutil.rmtree(home / tag, ignore_errors=True)
    left = {one.reference for one in stored(place.daemon)}
    return tuple(image for image in plan.images if image in left)


def _release(tag: str) -> str:
    """Return the release in the tag of a recipe, empty for any other tag.

    >>> _release("2026.1-67da036377a5"), _release("2026.1-debian-trixie")
    ('2026.1', '')
    """
    match = _IDENTITY.fullmatch(tag)
    return match["release"] if match else ""
