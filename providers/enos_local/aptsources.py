"""The host's package mirrors, in both of apt's notations (sources.list(5)). Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEFAULT_ARCHIVE = "http://deb.debian.org/debian"
DEFAULT_SECURITY = "http://deb.debian.org/debian-security"
_ONE_LINE = re.compile(r"deb\s+(?:\[[^]]*]\s+)?(\S+)\s+(\S+)(?:\s+(.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One repository and suite binary packages come from."""

    uri: str
    suite: str
    components: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Where Debian's packages and its security updates come from."""

    archive: str = DEFAULT_ARCHIVE
    security: str = DEFAULT_SECURITY


def parse_one_line(text: str) -> tuple[Source, ...]:
    """Return the sources of a `*.list` file; comments and `deb-src` are left out."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match:
            uri, suite, components = match.groups()
            parts = tuple((components or "").split())
            found.append(Source(uri=uri, suite=suite, components=parts))
    return tuple(found)


def parse_deb822(text: str) -> tuple[Source, ...]:
    """Return the enabled binary sources of a `*.sources` file."""
    return tuple(
        Source(uri=uri, suite=suite, components=tuple(fields.get("components", ())))
        for fields in _stanzas(text)
        if "deb" in fields.get("types", ()) and fields.get("enabled") != ["no"]
        for uri in fields.get("uris", ())
        for suite in fields.get("suites", ())
    )


def _stanzas(text: str) -> Iterator[dict[str, list[str]]]:
    for stanza in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text):
        fields: dict[str, list[str]] = {}
        last = ""
        for line in stanza.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t":
                fields.setdefault(last, []).extend(line.split())
            else:
                name, _, value = line.partition(":")
                last = name.strip().lower()
                fields[last] = value.split()
        yield fields


def debian_mirror(sources: Iterable[Source], os_release: str) -> Mirror:
    """Return the mirror a Debian host uses itself; Debian's own for any other host."""
    release = dict(
        line.split("=", 1) for line in os_release.splitlines() if "=" in line
    )
    if release.get("ID", "").strip('"') != "debian":
        return Mirror()
    codename = release.get("VERSION_CODENAME", "").strip('"')
    served = [s for s in sources if s.uri.startswith(("http://", "https://"))]
    main = [s.uri for s in served if s.suite in {codename, f"{codename}-updates"}]
    security = [s.uri for s in served if s.suite.startswith(f"{codename}-security")]
    return Mirror(
        archive=(main or [DEFAULT_ARCHIVE])[0].rstrip("/"),
        security=(security or [DEFAULT_SECURITY])[0].rstrip("/"),
    )


def render(mirror: Mirror, suite: str) -> str:
    """Return a `debian.sources` file for a suite from a mirror."""
    stanzas = (
        (mirror.archive, f"{suite} {suite}-updates"),
        (mirror.security, f"{suite}-security"),
    )
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"
        f"Signed-By: {KEYRING}\n"
        for uri, suites in stanzas
    )
