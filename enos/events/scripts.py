"""From the states of a host to the scripts it runs. Pure.

Every script is `host.sh` with calls behind it. A host is armed once before the run,
with all it needs to heal itself; after that, each event sends what changes.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from textwrap import indent

from enos.events.cut import TABLE, absence
from enos.events.situation import Emulation, HostState
from enos.netem import HostCommands
from enos.netem.commands import clearing_script

FOLDER = "/run/enos-events"
UNIT = "enos-events"
REACHING = (
    "PATH", "HOME", "SSH_AUTH_SOCK",
    "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY", "XDG_RUNTIME_DIR",
)  # fmt: skip
"""Variables by which programs find the Docker and the hosts that enos does."""
LEASE = 30
"""Seconds without a sign of life from enos after which a host heals itself."""
_END = "END-OF-FILE-BY-ENOS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the watch and its files are on a machine.

    Attributes:
        unit: name of the transient systemd unit of the watch.
        lease: seconds.
        kept: names of variables that the watch takes over from what arms it.

    """

    folder: str = FOLDER
    unit: str = UNIT
    lease: int = LEASE
    kept: tuple[str, ...] = ()

    def script(self, *calls: str) -> str:
        """Return an sh script that has the functions of `host.sh` and calls some."""
        names = {
            "FOLDER": self.folder,
            "UNIT": self.unit,
            "LEASE": str(self.lease),
            "TABLE": TABLE,
            "ABSENCE": absence(),
            "KEPT": " ".join(self.kept),
        }
        assigned = [f"{name}={shlex.quote(value)}" for name, value in names.items()]
        functions = files("enos.events").joinpath("host.sh").read_text("utf-8")
        return "\n".join([*assigned, functions, *calls, ""])

    def arming(self, undo: Mapping[str, str]) -> str:
        """Return the script that makes a machine able to heal itself.

        Args:
            undo: what may begin there → the script that undoes it.

        """
        kept = {f"{name}.undo": text for name, text in undo.items()}
        kept["events.sh"] = self.script('"$@"')
        return self.script("settle", *map(_write, kept.items()), "arm")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTask:
    """What a host does at an event.

    Attributes:
        files: name and content.
        steps: calls of `host.sh` that use them.
        shown: the same for people: what really changes.

    """

    files: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()
    shown: str = ""

    @property
    def emulates(self) -> bool:
        """Tell whether the emulation of the host changes."""
        return "emulate" in self.steps

    def script(self, place: Place) -> str:
        """Return the sh script of the event."""
        return place.script("enter", *map(_write, self.files), *self.steps)


def task(before: HostState, after: HostState) -> HostTask | None:
    """Return what brings a host from one state to another, None for nothing."""
    parts = (
        *_partition(before, after),
        *_emulation(before.emulation, after.emulation),
        *_services(before, after),
    )
    if not parts:
        return None
    return HostTask(
        files=tuple(file for part in parts for file in part.files),
        steps=tuple(step for part in parts for step in part.steps),
        shown="".join(part.shown for part in parts),
    )


def emulated(told: HostCommands | None) -> str:
    """Return the script that makes the emulation of a host what it is told."""
    return told.script if told else clearing_script()


def _partition(before: HostState, after: HostState) -> Iterator[HostTask]:
    if before.cut == after.cut:
        return
    if after.cut is None:
        yield HostTask(steps=("uncut",), shown=f"{absence()}\n")
        return
    rules = after.cut.ruleset
    shown = f"# file {FOLDER}/cut.nft\n{indent(rules, '    ')}nft -f cut.nft\n"
    yield HostTask(files=(("cut.nft", rules),), steps=("cut",), shown=shown)


def _emulation(before: Emulation | None, after: Emulation | None) -> Iterator[HostTask]:
    if before == after:
        return
    told = after.commands if after else None
    shown = told.text if told else "# no emulation\n"
    script = ("network.sh", told.changing_script if told else clearing_script())
    yield HostTask(files=(script,), steps=("emulate",), shown=shown)


def _services(before: HostState, after: HostState) -> Iterator[HostTask]:
    changes = (
        ("unpause", set(before.paused) - set(after.paused)),
        ("start", set(before.stopped) - set(after.stopped)),
        ("stop", set(after.stopped) - set(before.stopped)),
        ("pause", set(after.paused) - set(before.paused)),
    )
    for verb, names in changes:
        for name in sorted(names):
            yield HostTask(steps=(f"{verb} {name}",), shown=f"docker {verb} {name}\n")


def _write(named: tuple[str, str]) -> str:
    name, content = named
    body = content if content.endswith("\n") else f"{content}\n"
    return f"cat > {name} <<'{_END}-{name}'\n{body}{_END}-{name}"
