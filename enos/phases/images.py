"""Container images of an experiment: which, whence, and where the machines find them.

- A provider whose machines come with images (`SharesImages`) gets them before the
  machines are acquired (`share`).
- A registry of the experiment's own (`registry: internal`) gets them once its machine
  is up (`provide`).
- Any other machine pulls them itself, from the registry of the file or from quay.io.
"""

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from enos.errors import ConfigError
from enos.images import (
    diff,
    held,
    internal,
    locks,
    prune,
    push,
    ready,
    recipe,
    registry,
)
from enos.images.daemon import Daemon
from enos.images.needed import needed
from enos.images.ready import ImageSet, Ready, Workplace
from enos.kolla.switches import word
from enos.phases.foreseen import foreseen
from enos.phases.session import Session
from enos.process import LocalShell
from enos.progress import Progress
from enos.provider import SharesImages
from enos.state.directory import PREFIX, Directory, write_atomically
from enos.testbed import Host
from enos.toolenvs import ToolEnvironments


def wanted(session: Session) -> tuple[str, ...]:
    """Return the names of the images the experiment's services run."""
    planned = foreseen(session.experiment, session.tools)
    values = {**planned.installed.defaults, **planned.variables}
    return needed(lambda name: word(name, values))


def chosen(session: Session, names: tuple[str, ...] = ()) -> ImageSet:
    """Return the set of images the experiment uses, as far as it is decided."""
    kept = _kept(session.directory.path / "images.json")
    if kept is not None:
        return kept
    experiment = session.experiment
    lock = locks.load(experiment.release)
    shared = isinstance(session.provider, SharesImages)
    own = experiment.registry.type != "none" or shared
    if experiment.images == "pull" or (experiment.images == "auto" and not own):
        images = ready.kolla_set(lock, names)
    else:
        images = ready.built_set(lock, names, platform.machine())
    if experiment.registry.type == "external":
        where = f"{experiment.registry.ip}:{experiment.registry.port}"
        images = replace(images, registry=where)
    return images


def variables(session: Session) -> dict[str, Any]:
    """Return the variables that make kolla-ansible use the experiment's images."""
    values: dict[str, Any] = dict(chosen(session).settings)
    if session.experiment.registry.type == "internal":
        values["docker_registry_insecure"] = "yes"
    return values


def share(session: Session) -> None:
    """Have the images in every machine acquired afterwards, where the provider can."""
    provider, experiment = session.provider, session.experiment
    if experiment.registry.type != "none" or not isinstance(provider, SharesImages):
        return
    names = wanted(session)
    lock = locks.load(experiment.release)
    with provider.image_daemon() as host:
        place = workplace(session, host)
        done = ready.ensure_images(place, lock, names, source=experiment.images)
    # In the machines' own Docker no registry is asked.
    _keep(session, done.images, done.digests)


def provide(session: Session) -> None:
    """Have the images in the experiment's own registry, or find them in another."""
    experiment = session.experiment
    if experiment.registry.type == "external":
        _find(session)
    if experiment.registry.type != "internal":
        return
    host = _registry_host(session)
    port = experiment.registry.port
    shell, sockets = session.shell, session.directory.sockets
    there = internal.ensure_registry(
        shell, host, session.progress, port=port, sockets=sockets
    )
    place, lock = workplace(session), locks.load(experiment.release)
    done = ready.ensure_images(place, lock, wanted(session), source=experiment.images)
    send(place, done.images, there)
    _keep(session, replace(done.images, registry=there.host), done.digests)


def _find(session: Session) -> None:
    """Find out which set an external registry holds; it may not answer from here."""
    experiment = session.experiment
    lock, names = locks.load(experiment.release), wanted(session)
    built = ready.built_set(lock, names, platform.machine())
    pulled = ready.kolla_set(lock, names)
    possible = ready.possible(experiment.images, built, pulled)
    there = held.reached(f"{experiment.registry.ip}:{experiment.registry.port}")
    if there is not None:
        _keep(session, held.held(there, possible), {})
        return
    guess = chosen(session, names)
    session.progress.decision(
        f"the registry {guess.registry} does not answer from here: the machines are "
        f"told to pull {guess.namespace}/*:{guess.tag} from it"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An image the experiment needs.

    Attributes:
        state: ``there`` or ``missing``.

    """

    name: str
    reference: str
    state: str

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return asdict(self)


def listing(session: Session) -> tuple[Listed, ...]:
    """Return the images the experiment needs; those of a daemon are looked up."""
    names = wanted(session)
    with daemon_of(session) as place:
        present = place.daemon.images()
    lock = locks.load(session.experiment.release)
    pulled = ready.kolla_set(lock, names)
    images = replace(chosen(session, names), registry="", names=names)
    if not ready.plan(pulled, present).missing:
        images = pulled
    missing = ready.plan(images, present).missing
    return tuple(
        Listed(
            name=name,
            reference=images.reference(name),
            state="missing" if name in missing else "there",
        )
        for name in names
    )


def make(session: Session) -> Ready:
    """Have the images of the experiment in the Docker that keeps them."""
    experiment = session.experiment
    names, lock = wanted(session), locks.load(experiment.release)
    with daemon_of(session) as place:
        return ready.ensure_images(place, lock, names, source=experiment.images)


def send_all(session: Session, there: registry.Registry) -> tuple[str, ...]:
    """Have the images and push them; return their names in the registry."""
    experiment = session.experiment
    names, lock = wanted(session), locks.load(experiment.release)
    with daemon_of(session) as place:
        done = ready.ensure_images(place, lock, names, source=experiment.images)
        send(place, done.images, there)
    pushed = replace(done.images, registry=there.host)
    return tuple(pushed.reference(name) for name in names)


def send(place: Workplace, images: ImageSet, there: registry.Registry) -> None:
    """Push a set of images from a daemon to a registry; what is there is kept."""
    repositories = {
        images.reference(name): f"{images.namespace}/{name}:{images.tag}"
        for name in images.names
    }
    missing = {
        reference: target
        for reference, target in repositories.items()
        if images.tag not in registry.tags(there, target.rpartition(":")[0])
    }
    if missing:
        with ready.alone(place.cache) as home:
            push.push(
                place.daemon, there, missing, scratch=home, progress=place.progress
            )


def compare(place: Workplace, left: str, right: str) -> tuple[diff.Difference, ...]:
    """Return the packages two sets (`namespace:tag`) have at different versions."""
    sides = [diff.image_set(place.daemon, pattern) for pattern in (left, right)]
    common = sides[0].keys() & sides[1].keys()
    a, b = (
        diff.inventory(
            place.daemon, {name: side[name] for name in sorted(common)}, place.progress
        )
        for side in sides
    )
    return diff.differences(a, b)


def synchronise(
    source: registry.Registry,
    target: registry.Registry,
    prefix: str,
    progress: Progress,
    *,
    dry_run: bool = False,
) -> registry.SyncPlan:
    """Make a registry hold below a prefix what another one holds; return the plan."""
    plan = registry.plan_sync(
        registry.holdings(source, prefix), registry.holdings(target, prefix)
    )
    if not dry_run:
        registry.sync(source, target, plan, progress)
    return plan


def prunable(place: Workplace, folders: Iterable[Path]) -> prune.PrunePlan:
    """Return which images of earlier recipes no experiment in these folders needs."""
    machine = platform.machine()
    return prune.plan_prune(
        prune.stored(place.daemon),
        used=_used(folders),
        current=(
            recipe.identity(locks.load(name), machine) for name in locks.releases()
        ),
    )


def _used(folders: Iterable[Path]) -> Iterator[str]:
    """Yield the tags of experiments that have not given their machines back."""
    for folder in folders:
        for file in folder.glob(f"{PREFIX}*/images.json"):
            directory, images = Directory(file.parent), _kept(file)
            alive = directory.exists() and not directory.load().done("destroy")
            if images is not None and alive:
                yield images.tag


def table(found: tuple[diff.Difference, ...]) -> str:
    """Return the differences as text."""
    return diff.render(found) if found else "no package differs"


def alone(progress: Progress, cache: Path) -> Workplace:
    """Return what working on the user's own Docker takes, outside any experiment."""
    shell = LocalShell()
    tools = ToolEnvironments(cache=cache, shell=shell, progress=progress)
    return Workplace(
        daemon=Daemon(shell=shell), tools=tools, cache=cache, progress=progress
    )


def workplace(session: Session, host: str = "") -> Workplace:
    """Return what having images takes, on a daemon or the user's own."""
    return Workplace(
        daemon=Daemon(shell=session.shell, host=host),
        tools=session.tools,
        cache=session.cache,
        progress=session.progress,
    )


@contextmanager
def daemon_of(session: Session) -> Iterator[Workplace]:
    """Open the Docker that holds the experiment's images."""
    provider = session.provider
    if isinstance(provider, SharesImages) and (
        session.experiment.registry.type == "none"
    ):
        with provider.image_daemon() as host:
            yield workplace(session, host)
    else:
        yield workplace(session)


def _registry_host(session: Session) -> Host:
    hosts = session.testbed.hosts
    found = [host for host in hosts if "registry" in host.roles] or [
        host for host in hosts if "control" in host.roles
    ]
    if not found:
        raise ConfigError(
            "no machine can hold the registry",
            hint="give one the role `registry` or `control`",
        )
    return found[0]


def _keep(session: Session, images: ImageSet, digests: Mapping[str, str]) -> None:
    told = {**asdict(images), "digests": dict(digests)}
    path = session.directory.path / "images.json"
    write_atomically(path, json.dumps(told, indent=2) + "\n")


def _kept(path: Path) -> ImageSet | None:
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    told.pop("digests")
    return ImageSet(**{**told, "names": tuple(told["names"])})
