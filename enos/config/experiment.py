"""The experiment as the rest of enos sees it: checked, complete and frozen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from enos.config.constraints import NetworkConstraints
from enos.config.links import constraints
from enos.config.schema import RELEASES, ExperimentFile
from enos.config.source import Document, attempt, read
from enos.config.topology import Machines, groups, machines, roles
from enos.config.wording import keys_of
from enos.config.yamltree import Loc, Problem
from enos.demand import Demand
from enos.errors import listed, meant
from enos.provider import Provider

SERIES = {"20": "2025.1", "21": "2025.2", "22": "2026.1"}
"""Major version of kolla-ansible → OpenStack release."""

NOTHING = Machines(demand=Demand(machines=()), names=(), problems=())
REQUIREMENT = re.compile(r"kolla[-_]ansible\s*(?:==|~=|>=|===)\s*(?P<major>\d+)")
BRANCH = re.compile(r"@(?:stable/)?(?P<release>\d{4}\.\d)\b")


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
        warnings: what the user should know, ``file:line:column: …`` each.
        text: the file, verbatim.

    """

    name: str
    provider: str
    settings: Mapping[str, Any]
    demand: Demand
    constraints: NetworkConstraints
    release: str
    kolla_ansible: str
    kolla: Mapping[str, Any]
    inventory: Path | None
    registry: Registry
    images: str
    virt: str
    fake_computes: int
    guest_image: GuestImage | None
    monitoring: bool
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
    found += (*asked.problems, *wrong)
    if file is not None:
        found += _crossed(document, file, base or path.parent)
    if found or file is None:
        raise document.failure(found)
    return _experiment(document, file, asked.demand, shaping, base or path.parent)


def _experiment(
    document: Document,
    file: ExperimentFile,
    demand: Demand,
    shaping: NetworkConstraints,
    base: Path,
) -> Experiment:
    guest = file.guest_image
    return Experiment(
        name=file.name,
        provider=file.provider["type"],
        settings=_settings(file.provider),
        demand=demand,
        constraints=shaping,
        release=_release(file) or file.release,
        kolla_ansible=file.kolla_ansible,
        kolla=file.kolla,
        inventory=_found(file.inventory, base),
        registry=Registry(
            type=file.registry.type, ip=file.registry.ip, port=file.registry.port
        ),
        images=file.images.source,
        virt=file.virt,
        fake_computes=file.fake_computes,
        guest_image=GuestImage(**guest.model_dump()) if guest else None,
        monitoring=file.enable_monitoring,
        warnings=_warnings(document, file, demand),
        text=document.text,
    )


def _present(document: Document) -> dict[str, Any]:
    """Return the top level without known keys that have nothing under them."""
    known = ExperimentFile.model_fields
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
    name = section.get("type")
    if not isinstance(name, str):
        message = (
            "`type` is missing from `provider`"
            if name is None
            else "`type` must be text"
        )
        return None, (document.problem(loc, message, f"known: {listed(providers)}"),)
    if name not in providers:
        hint = meant(name, providers)
        hint = (
            hint if hint.startswith("known") else f"{hint} Known: {listed(providers)}"
        )
        return None, (document.problem(loc, f"there is no provider `{name}`", hint),)
    kind = providers[name]
    _, problems = attempt(document, kind.Settings, _settings(section), ("provider",))
    return kind, problems


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
    empty = next(
        (
            key
            for key in ("resources", "topology")
            if document.value.get(key, 0) is None
        ),
        "",
    )
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


def _crossed(
    document: Document, file: ExperimentFile, base: Path
) -> tuple[Problem, ...]:
    """Return the problems between keys."""
    found = []
    if "fake_computes" in file.model_fields_set and file.virt != "fake":
        message = f"`fake_computes` has no effect with `virt: {file.virt}`"
        found.append(
            document.problem(("fake_computes",), message, "write `virt: fake`")
        )
    if file.inventory and _found(file.inventory, base) is None:
        message = f"there is no inventory `{file.inventory}`"
        hint = f"looked for in `{base}` and in the current folder"
        found.append(document.problem(("inventory",), message, hint))
    chosen = _release(file)
    if file.kolla_ansible and chosen is None:
        message = f"`{file.kolla_ansible}` names no release that enos can deploy"
        hint = f"write `release:` with one of {listed(RELEASES)}"
        found.append(document.problem((_requirement(document),), message, hint))
    elif chosen and "release" in file.model_fields_set and chosen != file.release:
        message = f"`{file.kolla_ansible}` deploys {chosen}, not {file.release}"
        found.append(
            document.problem((_requirement(document),), message, "keep one of the two")
        )
    return tuple(found)


def _release(file: ExperimentFile) -> str | None:
    """Return the release that the requirement of kolla-ansible means."""
    requirement = file.kolla_ansible
    if match := REQUIREMENT.search(requirement):
        return SERIES.get(match["major"])
    if match := BRANCH.search(requirement):
        return match["release"] if match["release"] in RELEASES else None
    given = "release" in file.model_fields_set
    return file.release if given or requirement in ("", "kolla-ansible") else None


def _requirement(document: Document) -> str:
    return next(
        key for key in ("kolla-ansible", "kolla_ansible") if key in document.value
    )


def _found(inventory: str, base: Path) -> Path | None:
    places = (base / Path(inventory).expanduser(), Path.cwd() / inventory)
    return next((place for place in places if inventory and place.is_file()), None)


def _warnings(
    document: Document, file: ExperimentFile, demand: Demand
) -> tuple[str, ...]:
    found = [
        *_deprecated(document, file, ()),
        *_deprecated(document, file.registry, ("registry",)),
    ]
    if file.resources and file.topology:
        said = "`resources` is not used: `topology` takes its place"
        found.append(document.problem(("resources",), said, key=True))
    if file.kolla_ansible:
        said = "`kolla-ansible` only chooses the release: its version is pinned by enos"
        found.append(document.problem((_requirement(document),), said, key=True))
    if file.enable_monitoring:
        said = "`enable_monitoring` has no effect: nothing is collected yet"
        found.append(document.problem(("enable_monitoring",), said, key=True))
    if "control" not in roles(demand) and not file.inventory:
        said = "no machine has the role `control`: OpenStack cannot be deployed"
        found.append(document.problem((), said))
    return tuple(
        f"{document.path}:{one.position.line}:{one.position.column}: {one.message}"
        for one in sorted(found, key=lambda one: one.position)
    )


def _deprecated(document: Document, section: BaseModel, loc: Loc) -> list[Problem]:
    fields = type(section).model_fields
    return [
        document.problem(
            (*loc, name), f"`{name}` has no effect: {fields[name].deprecated}", key=True
        )
        for name in section.model_fields_set
        if fields[name].deprecated
    ]
