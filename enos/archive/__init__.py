"""One archive of everything an experiment left, without its secrets, with a manifest.

plan = plan_backup(testbed, directory, generated={"resolved.json": …}, versions={…})
as_lines(plan)                                        what `--dry-run` prints
write(plan, destination, shell=…, progress=…, sockets=…) -> Manifest
verify(path) -> Verification; .ok, .require()         sums, names, completeness
describe(path) -> Description; as_text, as_json       what `enos info FILE` prints

A host that is down makes the archive partial: `Manifest.complete` is False, its
`HostReport` says why and `progress.warn` is told. Whatever is wrong with a file or
with writing one is an ArchiveError.
"""

from enos.archive.description import Description, as_json, as_text, describe
from enos.archive.manifest import HostReport, Manifest, Member, Withheld
from enos.archive.plan import BackupPlan, Tree, as_lines
from enos.archive.read import Verification, verify
from enos.archive.redaction import without
from enos.archive.survey import known_secrets, own_versions, plan_backup
from enos.archive.write import archive_name, write

__all__ = [
    "BackupPlan",
    "Description",
    "HostReport",
    "Manifest",
    "Member",
    "Tree",
    "Verification",
    "Withheld",
    "archive_name",
    "as_json",
    "as_lines",
    "as_text",
    "describe",
    "known_secrets",
    "own_versions",
    "plan_backup",
    "verify",
    "without",
    "write",
]
