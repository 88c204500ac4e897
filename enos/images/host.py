"""What this machine's own configuration says about reaching packages.

Image builds reach Debian as the host does: its mirror, its apt proxy, its extra
certificates. Asked from apt itself (apt-get(8) `indextargets`, apt-config(8)), which
knows both notations of sources and every file they may be in. Hosts without apt get
Debian's public mirror.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from enos.errors import CapabilityError
from enos.process import Shell
from enos.progress import Progress

ARCHIVE = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
CERTIFICATES = Path("/usr/local/share/ca-certificates")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\n?"
)
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "ftp_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How packages are reached from here.

    Attributes:
        archive: URL of Debian's archive.
        security: URL of its security updates.
        apt_proxy: what apt goes through, empty for none.
        certificates: file name → PEM text of certificates added to the system's.

    """

    archive: str = ARCHIVE
    security: str = SECURITY
    apt_proxy: str = ""
    certificates: Mapping[str, str]


def look(shell: Shell, progress: Progress) -> Reach:
    """Look at this machine; warns of certificates that cannot be taken over."""
    archive, security = mirrors(_ask(shell, *INDEXES))
    proxy = _ask(shell, "apt-config", "shell", "proxy", "Acquire::http::Proxy")
    found, strange = certificates(CERTIFICATES)
    for file in strange:
        progress.warn(f"`{file}` holds no certificate in PEM form: images go without")
    return Reach(
        archive=archive,
        security=security,
        apt_proxy=proxy.partition("'")[2].rpartition("'")[0],
        certificates=found,
    )


INDEXES = (
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI) $(RELEASE) $(ORIGIN)",
    "Created-By: Packages",
)


def mirrors(indexes: str) -> tuple[str, str]:
    """Return the URLs of Debian's archive and of its security updates.

    >>> mirrors("http://mirror/debian/ bookworm Debian")
    ('http://mirror/debian', 'http://deb.debian.org/debian-security')
    """
    archive, security = ARCHIVE, SECURITY
    for line in reversed(indexes.splitlines()):
        uri, _, rest = line.partition(" ")
        suite, _, origin = rest.partition(" ")
        if origin != "Debian" or not uri.startswith("http"):
            continue
        if suite.endswith("-security"):
            security = uri.rstrip("/")
        elif "-" not in suite:
            archive = uri.rstrip("/")
    return archive, security


def certificates(folder: Path) -> tuple[dict[str, str], tuple[Path, ...]]:
    """Return the certificates that the administrator added, and files without any.

    File name → PEM text. Comments around the certificates (RFC 7468, 5.2) may be in
    any encoding and are left out where they are not ASCII.
    """
    found: dict[str, str] = {}
    strange = []
    for file in sorted(folder.rglob("*.crt")):
        data = file.read_bytes()
        text = data if data.isascii() else b"".join(PEM.findall(data))
        if b"-----BEGIN " in text:
            name = file.relative_to(folder).as_posix().replace("/", "-")
            found[name] = text.decode("ascii")
        else:
            strange.append(file)
    return found, tuple(strange)


def files(reach: Reach, suite: str) -> dict[str, str]:
    """Return what goes into the base image for it: path → text."""
    found = {"etc/apt/sources.list": "", "etc/apt/sources.list.d/debian.sources": ""}
    found["etc/apt/sources.list.d/debian.sources"] = "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"
        f"Signed-By: {KEYRING}\n"
        for uri, suites in (
            (reach.archive, f"{suite} {suite}-updates"),
            (reach.security, f"{suite}-security"),
        )
    )
    for name, text in reach.certificates.items():
        found[f"usr/local/share/ca-certificates/{name}"] = text
    return found


def environment(reach: Reach, around: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the proxy variables of a build.

    Docker knows these build arguments and leaves them out of the image's history
    (Dockerfile reference, "Predefined ARGs"), so an address or password stays here.
    """
    found: dict[str, str] = {}
    for name in PROXIES:
        value = around.get(name) or around.get(name.upper())
        if value:
            found |= {name: value, name.upper(): value}
    if reach.apt_proxy:
        found.setdefault("http_proxy", reach.apt_proxy)
        found.setdefault("HTTP_PROXY", reach.apt_proxy)
    return found


def _ask(shell: Shell, *argv: str) -> str:
    try:
        return shell.run(argv, check=False).stdout
    except CapabilityError:
        return ""  # no apt here
