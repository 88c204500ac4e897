r"""What an archive says about itself: each member, each host, what was left out.

`manifest.json` comes after all it lists, because sizes and sums are known only once
everything has been streamed. Paths are relative to the archive's one top folder, so
`jq -r '.members[] | "\(.sha256)  \(.path)"' manifest.json | sha256sum -c` works. The
last member is the manifest's own sum, for what it says of hosts and of what was left
out is in no other member: `sha256sum -c manifest.json.sha256`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from enos.errors import ArchiveError

FORMAT = "enos-archive"
VERSION = 2
UNSEALED = 1  # the version without a sum of the manifest
NAME = "manifest.json"
SEAL = f"{NAME}.sha256"
NO_SUM = f"no sum vouches for its `{NAME}`: an earlier enos wrote it"
OK, PARTIAL, UNREACHABLE = "ok", "partial", "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file in the archive.

    Attributes:
        path: relative to the top folder, with forward slashes.
        size: bytes as archived, after redaction; `sha256` is of the same bytes.
        host: the host it came from, empty for the machine that ran enos.
        redactions: how many secrets were replaced in it.

    """

    path: str
    size: int
    sha256: str
    host: str = ""
    redactions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A file that was found and left out, and why."""

    path: str
    reason: str
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """How complete a host's part is.

    Attributes:
        status: `ok`, `partial` or `unreachable`.
        missing: paths and programs that were asked for and are not there.
        reasons: what went wrong.

    """

    name: str
    status: str
    missing: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The table of contents.

    Attributes:
        created: UTC, ISO 8601.
        experiment: name of the experiment, also of the archive's top folder.
        versions: of enos and of all that took part.
        version: of the archive's format; 1 has no sum of the manifest.

    """

    created: str
    experiment: str
    members: tuple[Member, ...]
    hosts: tuple[HostReport, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    version: int = VERSION

    @property
    def sealed(self) -> bool:
        """Tell whether a sum of the manifest is in the archive."""
        return self.version > UNSEALED

    @property
    def complete(self) -> bool:
        """Tell whether every host gave everything it was asked for."""
        return all(host.status == OK for host in self.hosts)


def to_text(manifest: Manifest) -> str:
    """Return the manifest as the JSON text that is archived."""
    plain = asdict(manifest)
    first = {"format": FORMAT, "version": VERSION, "complete": manifest.complete}
    return json.dumps(first | plain, indent=1) + "\n"


def seal(text: bytes) -> bytes:
    """Return the content of `SEAL` for a manifest, as sha256sum(1) reads it."""
    return f"{hashlib.sha256(text).hexdigest()}  {NAME}\n".encode()


def from_text(text: str) -> Manifest:
    """Return the manifest that `to_text` wrote; raises ArchiveError for any other."""
    try:
        plain = json.loads(text)
        known = range(UNSEALED, VERSION + 1)
        if plain["format"] != FORMAT or plain["version"] not in known:
            raise ArchiveError(
                f"its format is `{plain['format']}` version {plain['version']}, this "
                f"enos reads `{FORMAT}` up to version {VERSION}",
                hint="use the enos that wrote the archive",
            )
        return _manifest(plain)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as bad:
        raise ArchiveError(
            f"its `{NAME}` cannot be read: {type(bad).__name__}: {bad}",
            hint="the archive was altered after enos wrote it",
        ) from bad


def _manifest(plain: Mapping[str, Any]) -> Manifest:
    return Manifest(
        created=str(plain["created"]),
        experiment=str(plain["experiment"]),
        members=tuple(_member(member) for member in plain["members"]),
        hosts=tuple(_host(host) for host in plain["hosts"]),
        withheld=tuple(
            Withheld(**{key: str(value) for key, value in left_out.items()})
            for left_out in plain["withheld"]
        ),
        versions={str(key): str(value) for key, value in plain["versions"].items()},
        version=int(plain["version"]),
    )


def _member(plain: Mapping[str, Any]) -> Member:
    return Member(
        path=str(plain["path"]),
        size=int(plain["size"]),
        sha256=str(plain["sha256"]),
        host=str(plain["host"]),
        redactions=int(plain["redactions"]),
    )


def _host(plain: Mapping[str, Any]) -> HostReport:
    return HostReport(
        name=str(plain["name"]),
        status=str(plain["status"]),
        missing=tuple(map(str, plain["missing"])),
        reasons=tuple(map(str, plain["reasons"])),
    )
