"""Where files enter an archive's part: scrubbed, measured, recorded."""

import tempfile
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from enos.archive.manifest import Member, Withheld
from enos.archive.names import fault, printable
from enos.archive.part import Part
from enos.archive.redaction import Secrets
from enos.archive.scrub import scrub

IN_MEMORY = 4 << 20  # a larger file waits for its tar header on disk


@dataclass(slots=True, kw_only=True)
class Intake:
    """Takes the files of one source, in the order in which they come.

    A tar header needs the size after redaction, so a file is scrubbed into a
    temporary one first: in memory when small, else in `folder`.

    Attributes:
        host: the source, empty for this machine.
        size: bytes taken so far.

    """

    part: Part
    secrets: Secrets
    folder: Path
    host: str = ""
    members: list[Member] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    size: int = 0
    _seen: set[str] = field(default_factory=set)

    def take(self, path: str, source: BufferedReader, *, mtime: float = 0) -> None:
        """Archive a file, or record why it is left out; OSError when the disk is."""
        why = "it came twice" if path in self._seen else fault(path)
        if why:
            self.leave_out(path, why)
            return
        self._seen.add(path)
        with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(self.folder)) as held:
            spool = cast("IO[bytes]", held)
            scrubbed = scrub(path, source, spool, self.secrets)
            if scrubbed.withheld:
                self.leave_out(path, scrubbed.withheld)
                return
            size = spool.tell()
            spool.seek(0)
            digest = self.part.add(path, spool, size=size, mtime=mtime)
        self.size += size
        self.members.append(
            Member(
                path=path,
                size=size,
                sha256=digest,
                host=self.host,
                redactions=scrubbed.redactions,
            )
        )

    def leave_out(self, path: str, reason: str) -> None:
        """Record a file that is not archived."""
        left_out = Withheld(path=printable(path), reason=reason, host=self.host)
        self.withheld.append(left_out)
