"""What the images of a release are made from, to the last version.

One folder per OpenStack release under `enos/images/lock`: `release.yml` names the
versions of kolla and of the distribution, `services.txt` and `toolbox.txt` pin every
Python package with its hashes. `lock/lock.sh RELEASE` resolves the latter anew.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import yaml

from enos.errors import ConfigError

FOLDER = Path(__file__).parent / "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collections:
    """Ansible collections taken out of a release of the `ansible` package.

    Attributes:
        package: ``ansible==13.8.0``.
        hashes: of its files, ``sha256:…``.
        names: ``openstack.cloud``, …

    """

    package: str
    hashes: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def requirement(self) -> str:
        """Return it as a line of a requirements file."""
        return " ".join([self.package, *(f"--hash={value}" for value in self.hashes)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLock:
    """The versions behind the images of one OpenStack release.

    Attributes:
        release: ``2026.1``.
        kolla: version on PyPI.
        distribution: `kolla_base_distro`.
        suite: version of the distribution, the tag of the base image.
        python: the distribution's Python, ``3.13``.
        services: text of the requirements file of the service images.
        toolbox: text of the requirements file of kolla-toolbox.

    """

    release: str
    kolla: str
    distribution: str
    suite: str
    python: str
    services: str
    toolbox: str
    collections: tuple[Collections, ...]

    @property
    def base_image(self) -> str:
        """Return the name of the image everything stands on."""
        return f"{self.distribution}:{self.suite}"

    @property
    def tool(self) -> str:
        """Return the name of the environment kolla-build runs in."""
        return f"kolla-{self.release}"

    @property
    def digest(self) -> str:
        """Return a hash that changes with any version."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def releases() -> tuple[str, ...]:
    """Return the releases there is a lock for, oldest first."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/release.yml")))


def load(release: str) -> ImageLock:
    """Return the lock of a release; raises ConfigError naming those there are."""
    folder = FOLDER / release
    if release not in releases():
        names = ", ".join(f"`{name}`" for name in releases())
        message = f"enos has no recipe for the images of OpenStack `{release}`"
        raise ConfigError(message, hint=f"choose one of {names}")
    told = yaml.safe_load((folder / "release.yml").read_text(encoding="utf-8"))
    return ImageLock(
        release=release,
        kolla=told["kolla"],
        distribution=told["distribution"],
        suite=told["suite"],
        python=told["python"],
        services=(folder / "services.txt").read_text(encoding="utf-8"),
        toolbox=(folder / "toolbox.txt").read_text(encoding="utf-8"),
        collections=tuple(
            Collections(
                package=one["package"],
                hashes=tuple(one["hashes"]),
                names=tuple(one["names"]),
            )
            for one in told["collections"]
        ),
    )
