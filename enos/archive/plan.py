"""What goes into an archive and from where, decided before anything is read. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from enos.archive.redaction import reason_to_drop
from enos.testbed import Host, Testbed

Argv = tuple[str, ...]

TOP = (".yml", ".json", ".jsonl")  # suffixes of files in the directory itself
FOLDERS = ("kolla", "logs", "results")
JOURNAL_LINES = 5000
_DOCKERS = ("docker", "podman")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A folder of a host.

    Attributes:
        path: absolute, on the host.
        label: where it goes below ``hosts/<host>/``.

    """

    path: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program whose output is kept.

    Attributes:
        label: where its output goes below ``hosts/<host>/``.
        choices: the first that is installed on the host is run.

    """

    label: str
    choices: tuple[Argv, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """What is fetched from one host."""

    host: Host
    trees: tuple[Tree, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """All that goes into an archive.

    Attributes:
        name: of the experiment and of the archive's top folder.
        files: paths relative to `directory`.
        generated: member path → text that is in no file (resolved experiment, …).
        versions: program → version, kept in the manifest.
        secrets: values that must not leave.

    """

    name: str
    directory: Path
    files: tuple[str, ...]
    generated: Mapping[str, str]
    hosts: tuple[HostPlan, ...]
    versions: Mapping[str, str]
    secrets: tuple[str, ...] = field(default=(), repr=False)


TREES = (
    Tree(path="/var/lib/docker/volumes/kolla_logs/_data", label="logs"),
    Tree(path="/etc/kolla", label="etc/kolla"),
)
"""What Kolla leaves on a host: the volume its services log to, and its own folder."""

COMMANDS = (
    Command(label="facts/uname.txt", choices=(("uname", "-a"),)),
    Command(label="facts/os-release.txt", choices=(("cat", "/etc/os-release"),)),
    Command(label="facts/cpu.txt", choices=(("lscpu",), ("cat", "/proc/cpuinfo"))),
    Command(label="facts/memory.txt", choices=(("cat", "/proc/meminfo"),)),
    Command(
        label="facts/interfaces.json",
        choices=(("ip", "-json", "-details", "address"),),
    ),
    Command(
        label="facts/packages.txt",
        choices=(("dpkg-query", "-W"), ("rpm", "-qa"), ("apk", "info", "-v")),
    ),
    Command(
        label="facts/engine.txt",
        choices=tuple((engine, "version") for engine in _DOCKERS),
    ),
    Command(
        label="facts/images.txt",
        choices=tuple(
            (engine, "images", "--digests", "--no-trunc") for engine in _DOCKERS
        ),
    ),
    Command(
        label="facts/containers.txt",
        choices=tuple((engine, "ps", "--all", "--no-trunc") for engine in _DOCKERS),
    ),
    Command(
        label="journal.txt",
        choices=(
            (
                *("journalctl", "--no-pager", "--quiet", "--output=short-iso"),
                f"--lines={JOURNAL_LINES}",
            ),
        ),
    ),
)
"""What tells a reader years later on what machine this ran."""


def wanted(files: Iterable[str]) -> tuple[str, ...]:
    """Return which files of an experiment directory are archived, sorted.

    >>> wanted(["state.json", "provider/id_ed25519", "logs/up.log"])
    ('logs/up.log', 'state.json')
    """
    return tuple(
        sorted(
            path
            for path in files
            if (
                path.partition("/")[0] in FOLDERS if "/" in path else path.endswith(TOP)
            )
        )
    )


def backup_plan(
    testbed: Testbed | None,
    files: Iterable[str],
    *,
    directory: Path,
    secrets: Iterable[str] = (),
    generated: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
    trees: Sequence[Tree] = TREES,
) -> BackupPlan:
    """Return the plan for a testbed (None: no hosts) and the files of a directory."""
    hosts = testbed.hosts if testbed else ()
    return BackupPlan(
        name=directory.resolve().name,
        directory=directory,
        files=wanted(files),
        generated=dict(sorted((generated or {}).items())),
        hosts=tuple(
            HostPlan(host=host, trees=tuple(trees), commands=COMMANDS) for host in hosts
        ),
        versions=dict(versions or {}),
        secrets=tuple(secrets),
    )


def as_lines(plan: BackupPlan) -> tuple[str, ...]:
    """Return the plan as lines for people, as `--dry-run` prints it."""
    withheld = [path for path in plan.files if reason_to_drop(path)]
    kept = [path for path in plan.files if not reason_to_drop(path)]
    return (
        f"{plan.name}/ from {plan.directory}:",
        *(f"  {path}" for path in kept),
        *(f"  {path} (generated)" for path in plan.generated),
        *(f"  left out: {path} ({reason_to_drop(path)})" for path in withheld),
        *(line for host in plan.hosts for line in _host_lines(host)),
        f"{len(plan.secrets)} known secrets are replaced wherever they occur",
    )


def _host_lines(plan: HostPlan) -> tuple[str, ...]:
    return (
        f"hosts/{plan.host.name}/ from {plan.host.address}:",
        *(f"  {tree.label}/ = {tree.path}" for tree in plan.trees),
        *(
            f"  {command.label} = {' | '.join(' '.join(c) for c in command.choices)}"
            for command in plan.commands
        ),
    )
