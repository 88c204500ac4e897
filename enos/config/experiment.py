"""The experiment as the rest of enos sees it: checked, complete and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos.config.checks import crossed, inventory, release_of, warnings
from enos.config.constraints import NetworkConstraints
from enos.config.events import Timeline
from enos.config.links import constraints
from enos.config.monitoring import Monitoring
from enos.config.schema import ExperimentFile
from enos.config.source import Document, attempt, read
from enos.config.timeline import timeline
from enos.config.topology import Machines, groups, machines, roles
from enos.config.wording import keys_of, kind_of, spellings
from enos.config.yamltree import Loc, Problem
from enos.demand import Demand
from enos.errors import listed, one_of
from enos.provider import Provider, SharesImages

NOTHING = Machines(demand=Demand(machines=()), names=(), problems=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Where the machines get container images from.

    Attributes:
        type: `none`, `internal` or `external`.
        ip: address or name of an external one, else empty.

    """

    type: str = "none"
    ip: str = ""
    port: int = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestImage:
    """An image for virtual machines that the user brings.

    Attributes:
        checksum: ``sha256:…`` or ``sha512:…``.
        user: the account that takes SSH keys in it.

    """

    url: str
    checksum: str
    user: str = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the parts of a file come to that no schema reads."""

    demand: Demand
    constraints: NetworkConstraints
    events: Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment file, understood.

    Attributes:
        name: as given, may be empty.
        provider: name of the plug-in.
        settings: its keys as given, JSON values; defaults are the plug-in's.
        release: OpenStack release, ``2026.1``.
        kolla_ansible: pip requirement that chose the release, may be empty.
        kolla: variables of kolla-ansible, verbatim.
        inventory: base inventory instead of kolla-ansible's own, None for that.
        images: where container images come from: `auto`, `pull` or `build`.
        virt: `qemu`, `kvm` or `fake`.
        fake_computes: fake computes on each compute machine, when `virt` is `fake`.
        guest_image: None for the one enos builds.
        monitoring: None for none.
        osprofiler: whether requests can be traced.
        warnings: what the user should know, ``file:line:column: …`` each.
        text: the file, verbatim.

    """

    name: str
    provider: str
    settings: Mapping[str, Any]
    demand: Demand
    constraints: NetworkConstraints
    events: Timeline
    release: str
    kolla_ansible: str
    kolla: Mapping[str, Any]
    inventory: Path | None
    registry: Registry
    images: str
    virt: str
    fake_computes: int
    guest_image: GuestImage | None
    osprofiler: bool
    monitoring: Monitoring | None
    warnings: tuple[str, ...]
    text: str

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of machines, in the order of the file."""
        return groups(self.demand)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of machines, in the order of the file."""
        return roles(self.demand)


def load_experiment(
    path: Path,
    *,
    providers: Mapping[str, type[Provider]],
    base: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Experiment:
    """Return the experiment of a file.

    Args:
        path: the file.
        providers: name → class of the testbeds that are installed.
        base: folder that relative paths in the file start from, by default its own.
        environ: what `${NAME}` stands for, by default this process's environment.

    Raises:
        ConfigError: with all problems of the file.

    """
    document = read(path, environ=environ)
    kind, found = _provider(document, providers)
    file, problems = attempt(document, ExperimentFile, _present(document))
    found += (*document.problems, *_explained(document, problems, kind))
    asked = machines(document, kind.Machine) if kind else NOTHING
    shaping, wrong = constraints(document, asked.names)
    events, muddled = timeline(document, asked.demand, asked.names)
    found += (*asked.problems, *wrong, *muddled)
    if file is not None:
        shares = kind is None or issubclass(kind, SharesImages)
        found += crossed(document, file, base or path.parent, shares=shares)
    if found or file is None:
        raise document.failure(found)
    asking = _Asked(demand=asked.demand, constraints=shaping, events=events)
    return _experiment(document, file, asking, base or path.parent)


def _experiment(
    document: Document, file: ExperimentFile, asked: _Asked, base: Path
) -> Experiment:
    guest = file.guest_image
    return Experiment(
        name=file.name,
        provider=file.provider["type"],
        settings=_settings(file.provider),
        demand=asked.demand,
        constraints=asked.constraints,
        events=asked.events,
        release=release_of(file) or file.release,
        kolla_ansible=file.kolla_ansible,
        kolla=file.kolla,
        inventory=inventory(file.inventory, base),
        registry=Registry(**file.registry.model_dump(include={"type", "ip", "port"})),
        images=file.images.source,
        virt=file.virt,
        fake_computes=file.fake_computes,
        guest_image=GuestImage(**guest.model_dump()) if guest else None,
        osprofiler=file.osprofiler,
        monitoring=file.monitoring.monitoring() if file.enable_monitoring else None,
        warnings=warnings(document, file, asked.demand),
        text=document.text,
    )


def _present(document: Document) -> dict[str, Any]:
    """Return the top level without known keys that have nothing under them."""
    known = {one for several in spellings(ExperimentFile) for one in several}
    return {
        key: value
        for key, value in document.value.items()
        if value is not None or key not in known
    }


def _provider(
    document: Document, providers: Mapping[str, type[Provider]]
) -> tuple[type[Provider] | None, tuple[Problem, ...]]:
    """Return the class of the provider and the problems with its section."""
    given = document.value.get("provider")
    section = given if isinstance(given, dict) else {"type": given or "local"}
    loc: Loc = ("provider", "type")
    match section.get("type"):
        case str(name) if name in providers:
            kind = providers[name]
            own = _settings(section)
            return kind, attempt(document, kind.Settings, own, ("provider",))[1]
        case str(name):
            message, hint = f"there is no provider `{name}`", one_of(name, providers)
        case other:
            message = f"`type` must name a provider, not {kind_of(other)}"
            hint = f"known: {listed(providers)}"
    return None, (document.problem(loc, message, hint),)


def _settings(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provider's own keys; `networks` of the advanced form is one."""
    own = {
        key: value for key, value in section.items() if key not in ("type", "resources")
    }
    advanced = section.get("resources")
    if isinstance(advanced, dict) and "networks" in advanced:
        own["networks"] = advanced["networks"]
    return own


def _explained(
    document: Document, problems: tuple[Problem, ...], kind: type[Provider] | None
) -> tuple[Problem, ...]:
    """Return the problems with better hints for keys that only stand elsewhere."""
    moved = {} if kind is None else dict.fromkeys(keys_of(kind.Settings), "provider")
    nothing = [key for key in ("resources", "topology") if key in document.value]
    empty = next((key for key in nothing if document.value[key] is None), "")
    hints = {
        f"unknown key `{key}`": f"indent it: it belongs under `{place}`"
        for key, value in document.value.items()
        if (place := moved.get(key) or (empty if isinstance(value, dict) else ""))
    }
    return tuple(
        Problem(
            position=one.position,
            message=one.message,
            hint=hints.get(one.message, one.hint),
        )
        for one in problems
    )
