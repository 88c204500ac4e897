"""What no single key can tell: keys that need or contradict each other."""

import re
from pathlib import Path

from pydantic import BaseModel

from enos.config.schema import RELEASES, ExperimentFile
from enos.config.source import Document
from enos.config.topology import roles
from enos.config.yamltree import Loc, Problem
from enos.demand import Demand
from enos.errors import listed

SERIES = {"20": "2025.1", "21": "2025.2", "22": "2026.1"}
"""Major version of kolla-ansible → OpenStack release."""

REQUIREMENT = re.compile(r"kolla[-_]ansible\s*(?:==|~=|>=|===)\s*(?P<major>\d+)")
BRANCH = re.compile(r"@(?:stable/)?(?P<release>\d{4}\.\d)\b")


def crossed(
    document: Document, file: ExperimentFile, base: Path, *, shares: bool = True
) -> tuple[Problem, ...]:
    """Return the problems between keys.

    `shares` tells whether the provider's machines come with images in their Docker.
    """
    found = []
    if not shares and _unreachable(file):
        message = f"no machine of `{file.provider['type']}` can get images built here"
        hint = "write `registry: internal`, or have them pulled: `images: pull`"
        found.append(document.problem(("images",), message, hint))
    if "fake_computes" in file.model_fields_set and file.virt != "fake":
        message = f"`fake_computes` has no effect with `virt: {file.virt}`"
        found.append(
            document.problem(("fake_computes",), message, "write `virt: fake`")
        )
    if file.inventory and inventory(file.inventory, base) is None:
        message = f"there is no inventory `{file.inventory}`"
        hint = f"looked for in `{base}` and in the current folder"
        found.append(document.problem(("inventory",), message, hint))
    chosen = release_of(file)
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


def _unreachable(file: ExperimentFile) -> bool:
    built = file.images.source == "build" and file.registry.type == "none"
    return built and "docker_registry" not in file.kolla


def release_of(file: ExperimentFile) -> str | None:
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


def inventory(name: str, base: Path) -> Path | None:
    """Return the inventory of a name: absolute, from a folder, or from here."""
    places = (base / Path(name).expanduser(), Path.cwd() / name)
    return next((place for place in places if name and place.is_file()), None)


def warnings(
    document: Document, file: ExperimentFile, demand: Demand
) -> tuple[str, ...]:
    """Return what the author should know of a file that is right."""
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
    if "monitoring" in document.value and not file.enable_monitoring:
        said = "`monitoring` has no effect without `enable_monitoring: true`"
        found.append(document.problem(("monitoring",), said, key=True))
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
