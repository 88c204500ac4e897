"""How enos builds the images: the text of everything kolla-build reads. Pure.

kolla's own templates are the base. `overlay/` is laid over them (kolla's `docker_dir`),
`overrides.j2` replaces blocks and package lists (`template_override`), and the few
lines that neither can reach are changed by `adapt`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from enos.errors import ImageError
from enos.images.locks import ImageLock

HERE = Path(__file__).parent
NAMESPACE = "kolla"

EXECUTABLE = frozenset(
    {
        "base/enos/usr/local/bin/enos_installed",
        "base/enos/usr/sbin/policy-rc.d",
        "mariadb-server/healthcheck.sh",
    }
)
"""Files of the overlay that are programs: a wheel does not keep that."""

PROJECTS: Mapping[str, str] = {
    "keystone-base": "keystone",
    "glance-base": "glance",
    "placement-base": "placement",
    "nova-base": "nova",
    "neutron-base": "neutron",
    "heat-base": "heat",
    "openstack-base": "requirements",
    "kolla-toolbox": "requirements",
}
"""Images that kolla adds a source archive to → its folder among the sources."""

BUILDABLE = frozenset(
    {
        *("cron", "fluentd", "haproxy", "keepalived", "kolla-toolbox"),
        *("mariadb-server", "memcached", "rabbitmq"),
        *("keystone", "keystone-fernet", "keystone-ssh"),
        *("glance-api", "placement-api"),
        *("nova-api", "nova-scheduler", "nova-conductor", "nova-compute"),
        *("nova-libvirt", "nova-novncproxy", "nova-serialproxy", "nova-ssh"),
        *("neutron-server", "neutron-metadata-agent", "neutron-openvswitch-agent"),
        *("neutron-dhcp-agent", "neutron-l3-agent"),
        *("openvswitch-db-server", "openvswitch-vswitchd"),
        *("heat-api", "heat-api-cfn", "heat-engine"),
        *("valkey-server", "valkey-sentinel", "redis", "redis-sentinel"),
    }
) - {"fluentd"}  # its packages are at its makers', not in Debian

VALKEY = ("valkey-server", "valkey-sentinel")
HEAT = ("heat-api", "heat-api-cfn", "heat-engine")
BEYOND: Mapping[str, frozenset[str]] = {
    "2025.1": frozenset({*VALKEY, *HEAT}),  # bookworm lacks Valkey; Heat runs in Apache
    "2025.2": frozenset(VALKEY),
}
"""Release → images that its Debian or its Python packages do not suffice for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A replacement in one of kolla's templates; `old` is there exactly once."""

    template: str
    old: str
    new: str


CHANGES: tuple[Change, ...] = (
    # Erlang and RabbitMQ's tools are half of the toolbox: stand on the image with them.
    Change(
        template="kolla-toolbox",
        old="{{ image_prefix }}base:",
        new="{{ image_prefix }}rabbitmq:",
    ),
    # pip would be unpacked into the environment, and nothing is left for it to do.
    Change(
        template="openstack-base",
        old="python3 -m venv --system-site-packages",
        new="python3 -m venv --without-pip --system-site-packages",
    ),
)

FOREIGN = "{# install Debian Openstack repos"
"""Where `base` adds a repository that Debian's packages make unnecessary."""


def adapt(template: str, text: str) -> str:
    """Return one of kolla's templates as enos builds it.

    Raises ImageError when the text is not the one the change was written for.
    """
    for change in CHANGES:
        if change.template == template:
            if text.count(change.old) != 1:
                raise _changed(template, change.old)
            text = text.replace(change.old, change.new)
    return _without_foreign(text) if template == "base" else text


def adapted() -> tuple[str, ...]:
    """Return the templates that `adapt` changes."""
    return ("base", *dict.fromkeys(change.template for change in CHANGES))


def _without_foreign(text: str) -> str:
    head, found, rest = text.partition(FOREIGN)
    _, closed, tail = rest.partition("{% endif %}")
    if not found or not closed:
        raise _changed("base", FOREIGN)
    return head + tail


def _changed(template: str, passage: str) -> ImageError:
    return ImageError(
        f"kolla's template of `{template}` lacks the passage that enos changes",
        hint="the installed kolla is not the locked one: remove its tool environment",
        details=passage,
    )


def identity(lock: ImageLock, machine: str) -> str:
    """Return the tag of the images: the release and what they are made from.

    >>> from enos.images.locks import load
    >>> identity(load("2026.1"), "x86_64").startswith("2026.1-")
    True
    """
    digest = hashlib.sha256(f"{lock.digest}\0{machine}".encode())
    for name, text in sorted(static_files().items()):
        digest.update(f"\0{name}\0{text}".encode())
    digest.update(repr((CHANGES, FOREIGN, sorted(PROJECTS.items()))).encode())
    return f"{lock.release}-{digest.hexdigest()[:12]}"


def static_files() -> dict[str, str]:
    """Return the shipped files that go into the images: path → text."""
    paths = [HERE / "overrides.j2", *(HERE / "overlay").rglob("*")]
    return {
        path.relative_to(HERE).as_posix(): path.read_text(encoding="utf-8")
        for path in paths
        if path.is_file()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where a build finds and leaves things.

    Attributes:
        kit: `overlay`, `overrides.j2` and `sources`.
        run: of this run: `host`, a second overlay, and `work`.
        logs: one file per image.

    """

    kit: Path
    run: Path
    logs: Path


def configuration(
    lock: ImageLock,
    tag: str,
    folders: Folders,
    disabled: Iterable[str],
    *,
    threads: int = 3,
) -> str:
    """Return `kolla-build.conf`.

    Args:
        lock: versions.
        tag: of the images.
        folders: where things are.
        disabled: sources of plug-ins, which are not on PyPI in the form kolla wants.
        threads: images built at once.

    """
    lines = [
        "[DEFAULT]",
        f"base = {lock.distribution}",
        f"base_image = {lock.distribution}",
        f"base_tag = {lock.suite}",
        f"tag = {tag}",
        f"namespace = {NAMESPACE}",
        f"threads = {threads}",
        "network_mode = host",
        f"docker_dir = {folders.kit / 'overlay'}",
        f"docker_dir = {folders.run / 'host'}",
        f"template_override = {folders.kit / 'overrides.j2'}",
        f"work_dir = {folders.run / 'work'}",
        f"logs_dir = {folders.logs}",
        "skip_existing = true",
        "pull = false",
        "push = false",
        "retries = 1",
    ]
    for image, folder in PROJECTS.items():
        source = folders.kit / "sources" / folder
        lines += [f"[{image}]", "type = local", f"location = {source}"]
    for name in sorted(disabled):
        lines += [f"[{name}]", "enabled = false"]
    return "\n".join(lines) + "\n"


def refuse_unbuildable(images: Iterable[str], release: str) -> None:
    """Raise ImageError naming the images that Debian and PyPI do not suffice for."""
    possible = BUILDABLE - BEYOND.get(release, frozenset())
    beyond = [name for name in images if name not in possible]
    if beyond:
        raise ImageError(
            f"enos cannot build {', '.join(f'`{name}`' for name in beyond)} by itself",
            hint="switch the services off in `kolla:`, or use a registry that has"
            " Kolla's images (`registry: external`)",
        )
