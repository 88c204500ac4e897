"""The OpenStack releases that can be deployed and the kolla-ansible of each.

Every kolla-ansible accepts only some versions of ansible-core and fixes the versions
of its images' contents, so each release has a lock file and an environment of its own.
"""

from dataclasses import dataclass

from enos.errors import ConfigError

DEFAULT = "2026.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An OpenStack release as kolla-ansible deploys it.

    Attributes:
        name: ``2026.1``, also the value of `openstack_release`.
        kolla_ansible: version on PyPI.
        ansible: version of the `ansible` package, which brings the collections.
        lock: name of the lock file under `enos/locks`, without its suffix.
        distributions: `kolla_base_distro` → the version kolla builds images on.
        clustercheck: it has a container that tells haproxy how a database does.

    """

    name: str
    kolla_ansible: str
    ansible: str
    lock: str
    distributions: tuple[tuple[str, str], ...]
    clustercheck: bool = False


RELEASES: tuple[Release, ...] = (
    Release(
        name="2025.1",
        kolla_ansible="20.6.0",
        ansible="11.13.0",
        lock="kolla-ansible-2025.1",
        distributions=(
            ("debian", "bookworm"),
            ("ubuntu", "noble"),
            ("rocky", "9"),
        ),
        clustercheck=True,
    ),
    Release(
        name="2025.2",
        kolla_ansible="21.3.0",
        ansible="12.3.0",
        lock="kolla-ansible-2025.2",
        distributions=(
            ("debian", "bookworm"),
            ("ubuntu", "noble"),
            ("rocky", "10"),
        ),
    ),
    Release(
        name="2026.1",
        kolla_ansible="22.2.0",
        ansible="12.3.0",
        lock="kolla-ansible-2026.1",
        distributions=(("debian", "trixie"), ("ubuntu", "noble"), ("rocky", "10")),
    ),
)


def release(name: str) -> Release:
    """Return the release of that name; raises ConfigError naming those there are."""
    for known in RELEASES:
        if known.name == name:
            return known
    names = ", ".join(f"`{known.name}`" for known in RELEASES)
    message = f"OpenStack release `{name}` is not one that enos can deploy"
    raise ConfigError(message, hint=f"choose one of {names}")
