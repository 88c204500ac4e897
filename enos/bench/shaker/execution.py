"""Running Shaker scenarios: on the bench host the server, elsewhere the agents.

    traffic = Traffic(bench=bench, setting=setting)
    traffic.check(runs)           what cannot be run is told, and kept as a gap
    traffic.play(run, place)      one scenario, to its folder

Each scenario is played by a server of its own, so that a broken one cannot spoil the
others, and leaves `outcome.json`, written last, by which a killed run goes on.
"""

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from enos.bench import environment
from enos.bench.environment import SHAKER, install, interpreter, packages
from enos.bench.host import Bench
from enos.bench.lines import event
from enos.bench.shaker.nodes import FLENT, Watched, missing, running
from enos.bench.shaker.outcome import GAP, OUTCOME, OUTPUT, PAGE, result
from enos.bench.shaker.page import page
from enos.bench.shaker.placement import (
    Agent,
    address_on,
    agents,
    network_of,
    specification,
)
from enos.bench.shaker.scenario import ShakerRun, Where
from enos.bench.shaker.setting import PORT, Guests, Setting, credentials, options
from enos.errors import (
    BenchmarkError,
    CapabilityError,
    CloudError,
    ImageError,
    ProcessError,
    in_one_line,
)
from enos.progress import Step
from enos.remote import ssh_argv
from enos.state.directory import write_atomically

RUNNER = Path(__file__).with_name("runner.py")
_TOLD = re.compile(r"Waiting for quorum|New stack")


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Plays Shaker scenarios.

    Attributes:
        gaps: key of a run → why it cannot be run, of `check`.
        failed: key of a run → what failed while `check` looked, such as a host that was
            out of reach; `play` raises it, so that the run is gone on with.

    """

    bench: Bench
    setting: Setting
    gaps: dict[str, str] = field(default_factory=dict)
    failed: dict[str, ProcessError] = field(default_factory=dict)
    _guests: Guests | None = None

    def check(self, runs: Sequence[ShakerRun]) -> None:
        """Find what cannot be run, before anything is; each such run is a warning.

        Raises ConfigError for nodes and networks that are not there.
        """
        for run in runs:
            try:
                why = gap = self._gap(run)
            except (CapabilityError, ImageError, CloudError) as error:
                why = gap = in_one_line(error)
            except ProcessError as error:
                self.failed[run.key] = error
                why, gap = in_one_line(error), ""
            if gap:
                self.gaps[run.key] = gap
            if why:
                self.bench.progress.warn(f"`{run.name}` cannot be run: {why}")

    def play(self, run: ShakerRun, place: Path) -> None:
        """Play a scenario and keep its outcome in a folder.

        A scenario that fails has an outcome too. Raises ProcessError or CapabilityError
        when a host cannot be reached or prepared, BenchmarkError when Shaker's server
        ended before the scenario did.
        """
        if run.key in self.failed:
            raise self.failed[run.key]
        place.mkdir(parents=True, exist_ok=True)
        gap = self.gaps.get(run.key, "")
        if gap:
            _write(place / GAP, {"error": gap, "seconds": 0})
            return
        with self.bench.progress.step(run.name, host=self.bench.host.name) as step:
            self._played(run, place, step)
        told = result(run, place)
        output = json.loads((place / OUTPUT).read_text(encoding="utf-8"))
        (place / PAGE).write_text(page(told, output), encoding="utf-8")

    def _gap(self, run: ShakerRun) -> str:
        if run.where is Where.GUESTS:
            self._guests = self._guests or self.setting.guests()
            return ""
        hosts = [self.bench.host]
        if run.where is Where.NODES:
            names = {one.host for one in self._agents(run)}
            hosts = [one for one in self.setting.testbed.hosts if one.name in names]
        lacking = missing(hosts, run.programs, self.bench)
        return "; ".join(
            f"{', '.join(names)} missing on {host}: install it there"
            for host, names in lacking.items()
        )

    def _agents(self, run: ShakerRun) -> tuple[Agent, ...]:
        if not run.between:
            return ()
        return agents(run.between, self.setting.testbed, run.network)

    def _played(self, run: ShakerRun, place: Path, step: Step) -> None:
        placed = self._agents(run)
        python = prepare(self.bench)
        folder = folder_of(run, place)
        address = self._address()
        with ExitStack() as stack:
            watched: Mapping[str, Watched] = {}
            if placed:
                step.awaiting("agents to start")
                nodes = running(
                    placed,
                    self.setting.testbed,
                    self.bench,
                    endpoint=f"{address}:{PORT}",
                    logs=place,
                )
                try:
                    watched = stack.enter_context(nodes)
                except (BenchmarkError, CapabilityError) as error:
                    gap = " ".join(filter(None, (error.message, error.details)))
                    _write(place / OUTPUT, {})
                    _write(place / GAP, {"error": gap, "seconds": 0})
                    return
            self._serve(run, (python, folder), placed, (place, step))
        lost = [name for one in watched.values() for name in one.lost]
        self._fetch(folder, place, lost)

    def _address(self) -> str:
        """Return the bench host's address on the network its other traffic uses."""
        api = self.setting.testbed.network("api")
        known = api is not None and self.bench.host.nic_on(api.name)
        if api is None or not known:
            return self.bench.host.address
        return address_on(self.bench.host, network_of(self.setting.testbed, api.name))

    def _serve(
        self,
        run: ShakerRun,
        there: tuple[PurePosixPath, PurePosixPath],
        placed: Sequence[Agent],
        kept: tuple[Path, Step],
    ) -> None:
        (python, folder), (place, step) = there, kept
        guests = self._guests if run.where is Where.GUESTS else None
        relay = guests.relay if guests else ""
        job = {
            "alias": run.alias,
            "args": dict(run.args),
            "agents": specification(placed),
            "environment": credentials(self.setting.spec) if guests else {},
            "options": [
                *options(run, guests, relay or self._address()),
                *("--agent-dir", str(folder / "work")),
            ],
        }
        self._bring(run, job, folder)
        command = (str(python), str(folder / "runner.py"), str(folder))
        argv = ssh_argv(self.bench.host, command, sockets=self.bench.sockets)
        if relay:
            argv = _forwarding(self.bench, command, relay)
        self._listen(run, argv, (place / "shaker.log", step), leave=bool(relay))

    def _bring(
        self, run: ShakerRun, job: Mapping[str, Any], folder: PurePosixPath
    ) -> None:
        files = {f"scenario/{name}": text for name, text in run.files.items()}
        files |= {"scenario/scenario.yaml": run.text} if run.text else {}
        files |= {
            "runner.py": RUNNER.read_text(encoding="utf-8"),
            "bin/flent": FLENT.read_text(encoding="utf-8"),
            "job.json": json.dumps(job),
        }
        for name, text in files.items():
            mode = "755" if name.startswith("bin/") else "600"
            self.bench.put(folder / name, text, mode=mode)

    def _listen(
        self,
        run: ShakerRun,
        argv: Sequence[str],
        told: tuple[Path, Step],
        *,
        leave: bool,
    ) -> None:
        log, step = told
        lines = _Lines(step=step, began=lambda: self.bench.began(run.name), leave=leave)
        with suppress(_Ended):
            self.bench.shell.stream(argv, log=log, on_line=lines.take, check=False)
        if not lines.ended:
            raise BenchmarkError(
                f"Shaker ended on `{self.bench.host.name}` before `{run.name}` was run",
                hint=f"see `{log}`; the same command goes on from here",
                details=lines.last,
            )

    def _fetch(self, folder: PurePosixPath, place: Path, lost: Sequence[str]) -> None:
        """Bring the outcome home, then remove it there."""
        command = ("tar", "-C", str(folder / "outcome"), "-cf", "-", ".")
        with tempfile.TemporaryDirectory(dir=place) as scratch:
            self.bench.fetch(command, Path(scratch))
            (Path(scratch) / OUTPUT).replace(place / OUTPUT)
            outcome = json.loads((Path(scratch) / OUTCOME).read_text(encoding="utf-8"))
        _write(place / OUTCOME, {**outcome, "lost": list(lost)})
        self.bench.on_host("rm", "-rf", str(folder))


class _Ended(Exception):  # noqa: N818 - no failure
    """The scenario has ended, whatever still holds the connection open."""


@dataclass(slots=True, kw_only=True)
class _Lines:
    """Progress from the lines of the runner and of Shaker's log.

    Attributes:
        leave: end the program that is listened to by `_Ended`, once the scenario has
            ended: ssh waits for what it forwards, here for guests that are gone.

    """

    step: Step
    began: Callable[[], None]
    leave: bool
    tested: bool = False
    ended: bool = False
    last: str = ""

    def take(self, text: str) -> None:
        told = event(text)
        if told is None:
            self._logged(text)
        elif told["event"] == "ended":
            self.ended = True
            if self.leave:
                raise _Ended
        elif told["event"] == "awaiting":
            self.step.awaiting(told["what"])
        elif told["event"] == "testing":
            self.step.awaiting(f"the test `{told['what']}`")
            if not self.tested:
                self.began()
            self.tested = True

    def _logged(self, text: str) -> None:
        self.last = text.strip() or self.last
        said = _TOLD.search(text)
        if said:
            quorum = said[0].startswith("Waiting")
            self.step.awaiting("agents to join" if quorum else "the Heat stack")


def folder_of(run: ShakerRun, place: Path) -> PurePosixPath:
    """Return a scenario's folder on the bench host: its own for each run's results."""
    name = sha256(f"{place.resolve()} {run.key}".encode()).hexdigest()[:12]
    return environment.PLACE / "shaker-runs" / name


def prepare(bench: Bench) -> PurePosixPath:
    """Return Shaker's Python on the bench host, its environment put there first.

    Raises CapabilityError or ProcessError.
    """
    shell, host, progress = bench.shell, bench.host, bench.progress
    wanted = interpreter(shell, host, tool=SHAKER, sockets=bench.sockets)
    made = packages(wanted, bench.cache, shell, progress, tool=SHAKER)
    install(made, shell, host, progress, sockets=bench.sockets)
    return made.python


def _forwarding(bench: Bench, command: Sequence[str], relay: str) -> tuple[str, ...]:
    """Return the argv that runs a command and carries what guests say to it.

    Over a connection of its own: a shared one would keep the port after the command.
    """
    ssh, *rest = ssh_argv(bench.host, command)
    forward = ("-L", f"{relay}:{PORT}:127.0.0.1:{PORT}")
    return (ssh, "-o", "ExitOnForwardFailure=yes", *forward, *rest)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(values, indent=1) + "\n")
