"""Debian packages without being root: a private apt that only downloads.

It uses the mirror of this machine's own apt configuration, its proxies and
authentication included, and checks signatures with Debian's archive keyring. Nothing
is installed and the machine's own package lists are left alone.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from enos.errors import CapabilityError, ImageError, ProcessError
from enos.process import Shell

KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
)
PROGRAMS = ("apt-get", "apt-cache", "dpkg-deb")
MIRROR = "http://deb.debian.org/debian"
_DEBIAN = re.compile(
    r"(?P<uri>[a-z+]+:\S*?/debian)/?\s+(?P<suite>bookworm|trixie|forky|sid)\s"
)


def mirror(targets: str) -> str:
    r"""Return the Debian mirror this machine uses, Debian's own when it has none.

    Args:
        targets: output of ``apt-get indextargets --format '$(REPO_URI) $(RELEASE) '``.

    >>> mirror("http://ftp.fr.debian.org/debian/ bookworm \n")
    'http://ftp.fr.debian.org/debian'
    >>> mirror("http://archive.ubuntu.com/ubuntu/ noble \n")
    'http://deb.debian.org/debian'
    """
    found = _DEBIAN.search(targets)
    return found["uri"] if found else MIRROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Downloads packages of one Debian release.

    Attributes:
        place: an empty or earlier used folder for lists and packages.
        suite: Debian's code name, e.g. ``trixie``.

    """

    place: Path
    suite: str
    architecture: str
    shell: Shell

    def update(self) -> None:
        """Fetch the lists of packages; raises ImageError when the mirror is away."""
        for name in ("lists/partial", "archives/partial", "parts", "deb"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        (self.place / "status").touch()
        targets = self._run(
            ("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) ")
        )
        line = f"deb [signed-by={_keyring()}] {mirror(targets)} {self.suite} main\n"
        (self.place / "sources.list").write_text(line, encoding="utf-8")
        self._run(("apt-get", *self._options(), "-qq", "update"))

    def behind(self, package: str) -> str:
        """Return the first package that a metapackage depends on."""
        out = self._run(("apt-cache", *self._options(), "depends", "--", package))
        found = re.search(r"Depends: (\S+)", out)
        if found is None:
            raise ImageError(f"Debian's `{package}` depends on no package")
        return found[1]

    def unpack(self, packages: Iterable[str], root: Path) -> None:
        """Download packages and unpack them all into a folder."""
        names = tuple(packages)
        self._run(("apt-get", *self._options(), "-qq", "download", *names), "deb")
        for deb in sorted((self.place / "deb").glob("*.deb")):
            self._run(("dpkg-deb", "--extract", deb, root))

    def _options(self) -> tuple[str, ...]:
        place, architecture = self.place, self.architecture
        settings = (
            f"Dir::Etc::SourceList={place}/sources.list",
            f"Dir::Etc::SourceParts={place}/parts",
            f"Dir::State={place}",
            f"Dir::State::status={place}/status",
            f"Dir::Cache={place}",
            f"APT::Architecture={architecture}",
            f"APT::Architectures={architecture}",
            f"APT::Sandbox::User={_me()}",
            "Acquire::Languages=none",
            "Acquire::Retries=3",
        )
        return tuple(word for setting in settings for word in ("-o", setting))

    def _run(self, argv: Sequence[str | Path], folder: str = "") -> str:
        cwd = self.place / folder if folder else None
        try:
            return self.shell.run(argv, cwd=cwd, timeout=300).stdout
        except CapabilityError:
            raise CapabilityError(
                f"`{argv[0]}` is missing, which the guest image is built with",
                hint="build it on Debian or Ubuntu, or set `guest_image: url:`",
            ) from None
        except ProcessError as error:
            raise ImageError(
                f"Debian's packages for the guest image cannot be had: {error.message}",
                hint="check this machine's apt mirror, or set `guest_image: url:`",
                details=error.details,
            ) from error


def keyring() -> str | None:
    """Return the path of Debian's archive keyring, None when it is not there."""
    return next((path for path in KEYRINGS if Path(path).exists()), None)


def _keyring() -> str:
    found = keyring()
    if found is None:
        raise CapabilityError(
            "Debian's archive keyring is missing, the guest image cannot be built",
            hint="`apt-get install debian-archive-keyring`, or set `guest_image: url:`",
        )
    return found


def _me() -> str:
    # apt as root drops to the user _apt, who cannot write below /root
    return "root" if os.geteuid() == 0 else ""
