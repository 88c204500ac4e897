"""Having the images a deployment needs, in one Docker daemon.

Where quay.io answers, Kolla's own images are pulled; elsewhere the missing ones are
built. Images carry the identity of what they are made from in their tag, so what is
there under that tag is right, and an interrupted run goes on where it stopped.
"""

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from enos.errors import ImageError
from enos.images import base, build, host, recipe, sources
from enos.images.daemon import Daemon
from enos.images.locks import ImageLock
from enos.images.registry import Registry, answers
from enos.process import Completed
from enos.progress import Progress
from enos.state.locks import locked
from enos.toolenvs import ToolEnvironments

QUAY = "quay.io"
QUAY_NAMESPACE = "openstack.kolla"
PULLS = 3
"""Pulls at once: as many as Docker fetches layers at once by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """Images that belong together: one release, one recipe.

    Attributes:
        origin: ``built`` or ``pulled``.
        registry: ``quay.io``, or empty when they are in the nodes' Docker already.
        namespace: ``kolla``.
        tag: ``2026.1-0123456789ab``.
        distribution: `kolla_base_distro`.
        names: ``nova-api``, …

    """

    origin: str
    registry: str
    namespace: str
    tag: str
    distribution: str
    names: tuple[str, ...]

    def reference(self, name: str) -> str:
        """Return the full name of an image."""
        prefix = f"{self.registry}/" if self.registry else ""
        return f"{prefix}{self.namespace}/{name}:{self.tag}"

    @property
    def settings(self) -> Mapping[str, str]:
        """Return the variables that make kolla-ansible use these images.

        With an empty `docker_registry` the name of an image is `namespace/name:tag`.
        kolla_container pulls only what it does not find under exactly that name, so
        images in the node's own Docker are used without any registry.
        """
        return {
            "kolla_base_distro": self.distribution,
            "docker_registry": self.registry,
            "docker_namespace": self.namespace,
            "openstack_tag": self.tag,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done for a set.

    Attributes:
        missing: names of images that are not there yet.

    """

    images: ImageSet
    missing: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """Return the plan in words, a line per image."""
        verb = "pull" if self.images.origin == "pulled" else "build"
        return tuple(
            f"{verb if name in self.missing else 'keep'} {self.images.reference(name)}"
            for name in self.images.names
        )


def built_set(lock: ImageLock, names: tuple[str, ...], machine: str) -> ImageSet:
    """Return the images as enos builds them."""
    return ImageSet(
        origin="built",
        registry="",
        namespace=recipe.NAMESPACE,
        tag=recipe.identity(lock, machine),
        distribution=lock.distribution,
        names=names,
    )


def kolla_set(lock: ImageLock, names: tuple[str, ...]) -> ImageSet:
    """Return the images as the Kolla project publishes them."""
    return ImageSet(
        origin="pulled",
        registry=QUAY,
        namespace=QUAY_NAMESPACE,
        tag=f"{lock.release}-{lock.distribution}-{lock.suite}",
        distribution=lock.distribution,
        names=names,
    )


def plan(images: ImageSet, present: Mapping[str, str]) -> Plan:
    """Return what is missing, given the images of the daemon (name → id)."""
    missing = (name for name in images.names if images.reference(name) not in present)
    return Plan(images=images, missing=tuple(missing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What having images takes.

    Attributes:
        daemon: where the images are wanted.
        tools: makes the environment kolla-build runs in.
        cache: folder shared by all experiments of this user.

    """

    daemon: Daemon
    tools: ToolEnvironments
    cache: Path
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Images that are there.

    Attributes:
        digests: name → id of the image, ``sha256:…``.

    """

    images: ImageSet
    digests: Mapping[str, str]


def possible(source: str, built: ImageSet, pulled: ImageSet) -> tuple[ImageSet, ...]:
    """Return the sets `images: auto`, `build` or `pull` allows, the first choice first.

    Of two that are whole the built one: it is what this enos was tried with.
    """
    return {"auto": (built, pulled), "build": (built,), "pull": (pulled,)}[source]


def ensure_images(
    place: Workplace, lock: ImageLock, names: tuple[str, ...], *, source: str = "auto"
) -> Ready:
    """Have the images in the daemon; idempotent, goes on after an interruption.

    Args:
        place: where and with what.
        lock: versions.
        names: of the images.
        source: ``pull`` from quay.io, ``build`` here, or ``auto``: whichever can be.

    Raises ImageError naming the image that can neither be pulled nor built.

    """
    built, pulled = built_set(lock, names, platform.machine()), kolla_set(lock, names)
    candidates = possible(source, built, pulled)
    present = place.daemon.images()
    for images in candidates:
        if not plan(images, present).missing:
            with place.progress.step("container images") as step:
                step.skipped(f"all {len(names)} are there as {images.tag}")
            return _ready(place.daemon, images)
    if pulled in candidates and _pulled(place, plan(pulled, present)):
        return _ready(place.daemon, pulled)
    if source == "pull":
        raise ImageError(
            f"not all images of OpenStack {lock.release} can be had from {QUAY}",
            hint="why is told above; write `images: build` to have them built here",
        )
    _build(place, lock, built)
    return _ready(place.daemon, built)


def _pulled(place: Workplace, wanted: Plan) -> bool:
    if answers(Registry(host=QUAY)):
        return _pull(place, wanted)
    place.progress.decision(f"{QUAY} does not answer: no images from there")
    return False


def _ready(daemon: Daemon, images: ImageSet) -> Ready:
    present = daemon.images()
    lost = plan(images, present).missing
    if lost:
        raise ImageError(
            f"after the work the images {', '.join(lost)} are still missing",
            hint="see the logs of the image builds; the same command goes on from here",
        )
    digests = {name: present[images.reference(name)] for name in images.names}
    return Ready(images=images, digests=digests)


def _pull(place: Workplace, wanted: Plan) -> bool:
    """Pull what is missing; False when not all of it could be, which is told."""
    with place.progress.step(f"{len(wanted.missing)} images from {QUAY}") as step:

        def pull(name: str) -> Completed:
            step.awaiting(name)
            reference = wanted.images.reference(name)
            return place.daemon.run("pull", "--quiet", reference, check=False)

        with ThreadPoolExecutor(PULLS) as pool:
            had = dict(zip(wanted.missing, pool.map(pull, wanted.missing), strict=True))
    reasons: dict[str, list[str]] = {}
    for name, done in had.items():
        if not done.ok:
            reasons.setdefault(_last_words(done), []).append(name)
    for reason, names in reasons.items():
        place.progress.decision(f"no {', '.join(names)} from {QUAY}: {reason}")
    return not reasons


def _last_words(done: Completed) -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"`docker pull` ended with {done.returncode}"


def _build(place: Workplace, lock: ImageLock, images: ImageSet) -> None:
    recipe.refuse_unbuildable(images.names, lock.release)
    with alone(place.cache) as home:
        tools = place.tools.ensure(lock.tool)
        reach = host.look(place.daemon.shell, place.progress)
        with ThreadPoolExecutor(1) as pool:
            standing = pool.submit(
                base.ensure_base,
                place.daemon,
                lock.base_image,
                reach=reach,
                home=home,
                logs=place.cache / "logs",
                progress=place.progress,
            )
            kit = _kit(place, lock, tools, home / images.tag)
            standing.result()
        folders = recipe.Folders(
            kit=kit, run=home / "run", logs=place.cache / "logs" / "images"
        )
        _lay_out(lock, folders, reach)
        job = _job(place, lock, images, tools, folders)
        build.build(
            place.daemon,
            replace(job, environment=host.environment(reach)),
            place.progress,
        )
        shutil.rmtree(folders.run / "work", ignore_errors=True)


def _kit(place: Workplace, lock: ImageLock, tools: Path, where: Path) -> Path:
    with place.progress.step("Python packages for the images") as step:
        return sources.ensure_kit(
            place.daemon.shell,
            step,
            lock,
            kolla=build.templates(tools),
            place=where,
            machine=platform.machine(),
        )


def _lay_out(lock: ImageLock, folders: recipe.Folders, reach: host.Reach) -> None:
    for part in ("work", "host"):
        shutil.rmtree(folders.run / part, ignore_errors=True)
    for name, text in host.files(reach, lock.suite).items():
        file = folders.run / "host" / "base" / "enos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _job(
    place: Workplace,
    lock: ImageLock,
    images: ImageSet,
    tools: Path,
    folders: recipe.Folders,
) -> build.Job:
    disabled = build.plugin_sources(place.daemon, tools)
    configuration = folders.run / "kolla-build.conf"
    # One more than processors: a build waits for downloads or the disk at times.
    threads = (os.cpu_count() or 1) + 1
    text = recipe.configuration(lock, images.tag, folders, disabled, threads=threads)
    configuration.write_text(text, encoding="utf-8")
    present = place.daemon.images()
    missing = plan(images, present).missing
    line = build.with_parents(missing, build.templates(tools), folders.kit / "overlay")
    return build.Job(
        tools=tools,
        configuration=configuration,
        logs=folders.logs,
        wanted=missing,
        total=sum(images.reference(name) not in present for name in line),
    )


@contextmanager
def alone(cache: Path) -> Iterator[Path]:
    """Be the only one at work in the folder for images; yield it.

    What a killed run left unfinished there is removed.
    """
    home = cache / "kolla"
    with locked(home / "lock"):
        for left in home.glob(f"{sources.DRAFT}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield home
