"""Bringing a cloud to a plan: what is there is compared, what is missing is created.

    converge(plan, cloud, progress) -> CloudFacts

May be run again at any time, and after a kill at any moment: things are recognised by
name, an image whose upload was cut short is uploaded anew.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos.cloud.guest import GuestImage
from enos.cloud.plan import ROUTER, CloudPlan, Kind, Reference, Value, Wanted
from enos.cloud.rest import (
    PAUSE,
    TRIES,
    Cloud,
    Record,
    RefusedError,
    again,
    transient,
)
from enos.errors import CloudError
from enos.progress import Progress, Step

DIGEST = "enos_digest"
"""Image property that tells which build it is."""

_CONFLICT = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFacts:
    """What a converged cloud holds.

    Attributes:
        ids: `(kind, name)` → id, for all that has a name.
        images: name → id.
        created: what this run made, in words.

    """

    project: str
    ids: Mapping[tuple[Kind, str], str]
    images: Mapping[str, str]
    created: tuple[str, ...] = ()


def converge(plan: CloudPlan, cloud: Cloud, progress: Progress) -> CloudFacts:
    """Make the cloud hold all of a plan and return the ids.

    Raises CloudError naming the thing that could not be made, after a bounded number
    of tries.
    """
    for note in plan.notes:
        progress.decision(note)
    project = cloud.project
    work = _Work(cloud=cloud, progress=progress, project=project, created=[])
    with ThreadPoolExecutor(2) as pool:
        images = pool.submit(work.images, plan.images)
        ids = work.things(plan)
        work.access(plan)
        return CloudFacts(
            project=project,
            ids=ids,
            images=images.result(),
            created=tuple(work.created),
        )


def upload(image: GuestImage, cloud: Cloud, progress: Progress) -> str:
    """Make the cloud hold an image, anew when it is another build; return its id.

    Raises CloudError after a bounded number of tries.
    """
    work = _Work(cloud=cloud, progress=progress, project="", created=[])
    return work.images((image,))[image.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    cloud: Cloud
    progress: Progress
    project: str
    created: list[str]

    def things(self, plan: CloudPlan) -> dict[tuple[Kind, str], str]:
        """Make the flavors, networks, subnets, router and key pair."""
        ids: dict[tuple[Kind, str], str] = {}
        with self.progress.step("flavors and networks") as step:
            kinds = dict.fromkeys(thing.kind for thing in plan.things)
            found = {kind: self.cloud.list(kind) for kind in kinds}
            for thing in plan.things:
                fields = resolved(thing.fields, ids)
                known = existing(thing, fields, found[thing.kind])
                record = self._one(thing, fields, known, step)
                # a key pair has no id: its name is
                ids[thing.kind, thing.name] = str(record.get("id", thing.name))
            for name in plan.router_subnets:
                step.awaiting(f"interface of the router on `{name}`")
                router = ids[Kind.ROUTER, ROUTER]
                self._interface(router, ids[Kind.SUBNET, name])
        return ids

    def access(self, plan: CloudPlan) -> None:
        """Open the default security group and lift the quotas."""
        with self.progress.step("security group and quotas") as step:
            group = self._default_group()
            rules = self.cloud.list(Kind.RULE)
            for rule in plan.rules:
                fields = {**resolved(rule.fields, {}), "security_group_id": group}
                known = existing(rule, fields, rules)
                self._one(rule, fields, known, step)
            for service, names in plan.unlimited.items():
                step.awaiting(f"{service} quotas")
                self._quotas(service, names)

    def images(self, images: tuple[GuestImage, ...]) -> dict[str, str]:
        """Upload the images; name → id of the bootable one."""
        with self.progress.step("guest image") as step:
            return {image.name: self._image(image, step) for image in images}

    def _one(
        self, thing: Wanted, fields: dict[str, Any], known: Record | None, step: Step
    ) -> Record:
        step.awaiting(f"{thing.kind} `{thing.name}`")
        if known is None:
            record = self._tried(thing, fields)
            self.created.append(f"{thing.kind} `{thing.name}`")
            return record
        changed = differences(fields, known)
        mutable = {key: fields[key] for key in changed if key in thing.mutable}
        if mutable:
            self.cloud.update(thing.kind, str(known["id"]), mutable)
        if len(mutable) < len(changed):
            kept = ", ".join(key for key in changed if key not in mutable)
            what = f"{thing.kind} `{thing.name}` is there with another {kept}: kept"
            self.progress.warn(what)
        return known

    def _tried(self, thing: Wanted, fields: dict[str, Any]) -> Record:
        """Create; after a failure look first whether it was made nevertheless."""
        for attempt in range(1, TRIES + 1):
            try:
                return self.cloud.create(thing.kind, fields)
            except CloudError as error:
                taken = isinstance(error, RefusedError) and error.status == _CONFLICT
                made = existing(thing, fields, self.cloud.list(thing.kind))
                if made is not None:
                    return made
                if attempt == TRIES or not (transient(error) or taken):
                    raise _named(thing, error) from error
                time.sleep(PAUSE * attempt)
        raise AssertionError

    def _interface(self, router: str, subnet: str) -> None:
        path = f"/ports?device_id={router}"
        ports = self.cloud.get("network", path)["ports"]
        on = {ip["subnet_id"] for port in ports for ip in port["fixed_ips"]}
        if subnet in on:
            return
        where = f"/routers/{router}/add_router_interface"
        self.cloud.send("PUT", "network", where, {"subnet_id": subnet})
        self.created.append("router interface")

    def _default_group(self) -> str:
        # listing makes Neutron create the project's default group when it is new
        path = f"/security-groups?name=default&project_id={self.project}"
        groups = self.cloud.get("network", path)["security_groups"]
        if not groups:
            raise CloudError("the project has no default security group")
        return str(groups[0]["id"])

    def _quotas(self, service: str, names: tuple[str, ...]) -> None:
        wanted = dict.fromkeys(names, -1)
        if service == "compute":
            path, key = f"/os-quota-sets/{self.project}", "quota_set"
            found = self.cloud.get("compute", path)[key]
            if differences(wanted, found):
                self.cloud.send("PUT", "compute", path, {key: wanted})
        else:
            path, key = f"/quotas/{self.project}", "quota"
            found = self.cloud.get("network", path)[key]
            if differences(wanted, found):
                self.cloud.send("PUT", "network", path, {key: wanted})

    def _image(self, image: GuestImage, step: Step) -> str:
        properties: dict[str, Any] = dict(image.properties)
        if image.kernel and image.ramdisk:
            parts = (("kernel", "aki", image.kernel), ("ramdisk", "ari", image.ramdisk))
            for part, kind, path in parts:
                step.awaiting(f"image `{image.name}`: {part}")
                name = f"{image.name}-{part}"
                form = {"disk_format": kind, "container_format": kind}
                properties[f"{part}_id"] = self._uploaded(name, image, form, path)
        step.awaiting(f"image `{image.name}`")
        body: dict[str, Any] = {
            "disk_format": image.disk_format,
            "container_format": "bare",
            "min_ram": image.min_ram,
            **properties,
        }
        return self._uploaded(image.name, image, body, image.disk)

    def _uploaded(
        self, name: str, image: GuestImage, body: dict[str, Any], path: Path
    ) -> str:
        found = self.cloud.get("image", f"/images?name={name}")["images"]
        whole = [
            one
            for one in found
            if one["status"] == "active" and one.get(DIGEST) == image.digest
        ]
        if whole:
            return str(whole[0]["id"])
        for one in found:
            if DIGEST in one:  # an earlier build of ours, or half of one
                self.cloud.send("DELETE", "image", f"/images/{one['id']}")
        fields = {"name": name, "visibility": "public", DIGEST: image.digest, **body}
        try:
            return again(lambda: self._upload(fields, path))
        except CloudError as error:
            what = f"image `{name}` cannot be made: {error.message}"
            raise CloudError(what, hint=error.hint, details=error.details) from error

    def _upload(self, fields: Mapping[str, Any], path: Path) -> str:
        record = self.cloud.send("POST", "image", "/images", fields)
        identity = str(record["id"])
        try:
            with path.open("rb") as data:
                self.cloud.send("PUT", "image", f"/images/{identity}/file", data)
        except CloudError:
            self.cloud.send("DELETE", "image", f"/images/{identity}")
            raise
        self.created.append(f"image `{fields['name']}`")
        return identity


def resolved(
    fields: Mapping[str, Value], ids: Mapping[tuple[Kind, str], str]
) -> dict[str, Any]:
    """Return the fields as JSON values, references replaced by ids."""
    return {key: _resolved(value, ids) for key, value in fields.items()}


def _resolved(value: Value, ids: Mapping[tuple[Kind, str], str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Reference):
        return ids[value.kind, value.name]
    if isinstance(value, Mapping):
        return resolved(value, ids)
    if isinstance(value, tuple | list):
        return [_resolved(one, ids) for one in value]
    return value


def existing(
    thing: Wanted, fields: Mapping[str, Any], found: tuple[Record, ...]
) -> Record | None:
    """Return the record of what is wanted among those of its kind.

    A subnet must also be on the network wanted; a rule is known by all its fields.
    """
    keys = {Kind.RULE: tuple(fields), Kind.SUBNET: ("name", "network_id")}
    by = keys.get(thing.kind, ("name",))
    for record in found:
        if not differences({key: fields[key] for key in by}, record):
            return record
    return None


def differences(wanted: Mapping[str, Any], found: Record) -> tuple[str, ...]:
    """Return the keys whose values differ, the found ones allowed to say more."""
    return tuple(
        key for key, value in wanted.items() if not _same(value, found.get(key))
    )


def _same(wanted: Any, found: Any) -> bool:  # noqa: ANN401 - JSON
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and not differences(wanted, found)
    if isinstance(wanted, str) and isinstance(found, str):
        return wanted.strip() == found.strip()
    return bool(wanted == found)


def _named(thing: Wanted, error: CloudError) -> CloudError:
    message = f"{thing.kind} `{thing.name}` cannot be created: {error.message}"
    return CloudError(message, hint=error.hint, details=error.details)
