"""What a phase works with, and how phases begin, end and follow one another."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from pathlib import Path
from typing import Any

from enos import plugins
from enos.config.experiment import Experiment, load_experiment
from enos.errors import StateError
from enos.phases.recorder import Recorder
from enos.process import LocalShell, Shell, end_leftovers
from enos.progress import Progress
from enos.provider import Provider, Surroundings
from enos.state.directory import Directory, find, for_experiment, write_atomically
from enos.state.private import make_private
from enos.state.record import PhaseRecord
from enos.testbed import Testbed
from enos.toolenvs import ToolEnvironments


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What is the same for every experiment: ports and folders.

    Attributes:
        where: the folder in which experiment directories are made and found.
        cache: the folder all experiments of this user share.
        shell: session id → the shell its programs are started with.

    """

    progress: Progress
    where: Path
    cache: Path
    shell: Callable[[str], Shell] = field(default=lambda name: LocalShell(session=name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An experiment that is open.

    Attributes:
        file: the experiment file, read in place of the directory's own copy of it by
            those who only look.

    """

    directory: Directory
    shell: Shell
    progress: Progress
    cache: Path
    file: Path | None = None

    @property
    def experiment(self) -> Experiment:
        """The experiment, from the directory's own copy of the file."""
        base, file = Path(self.directory.load().source).parent, self.file
        return load_experiment(
            file or self.directory.experiment, providers=plugins.providers(), base=base
        )

    @property
    def testbed(self) -> Testbed:
        """What was acquired; raises StateError while nothing is."""
        found = self.directory.load().testbed
        if found is None:
            where = self.directory.path.name
            hint = "run `enos up` first"
            raise StateError(f"no machines were acquired in `{where}`", hint=hint)
        return found

    @property
    def tools(self) -> ToolEnvironments:
        """The Python environments of other tools."""
        return ToolEnvironments(
            cache=self.cache, shell=self.shell, progress=self.progress
        )

    @property
    def provider(self) -> Provider:
        """The provider, from the state alone, so that `destroy` needs nothing else."""
        state = self.directory.load()
        kind = plugins.provider(state.provider)
        around = Surroundings(
            session=state.session,
            directory=self.directory.provider,
            cache=self.cache,
            shell=self.shell,
            progress=self.progress,
        )
        return kind(kind.Settings.model_validate(dict(state.settings)), around)

    def require(self, phase: str) -> None:
        """Raise StateError unless a phase has been completed."""
        if not self.directory.load().done(phase):
            raise StateError(
                f"`{phase}` has not been completed in `{self.directory.path.name}`",
                hint=f"run `enos {phase}` first",
            )

    def save(self, **changes: Any) -> None:  # noqa: ANN401 - fields of State
        """Save the state with some of its fields changed."""
        self.directory.save(replace(self.directory.load(), **changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A phase under way: its session and what it wants to remember."""

    session: Session
    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def phase(session: Session, name: str) -> Iterator[Running]:
    """Run a phase: `running` in the state, then `done` or `failed`, journaled."""
    journal, began = session.directory.journal, time.time()
    recorder = Recorder(inner=session.progress, journal=journal, phase=name)
    running = Running(session=replace(session, progress=recorder))
    _record(session, name, PhaseRecord(status="running", started=began))
    journal.append("phase", name, status="started")
    status = "failed"
    try:
        yield running
        status = "done"
    finally:
        ended = time.time()
        record = PhaseRecord(
            status=status, started=began, finished=ended, facts=running.facts
        )
        _record(session, name, record)
        word = "finished" if status == "done" else "failed"
        journal.append("phase", name, status=word, seconds=round(ended - began, 3))


@contextmanager
def starting(file: Path, env: Path | None, workshop: Workshop) -> Iterator[Session]:
    """Open the experiment of a file, new or to be gone on with, under its lock.

    The file is read and found right before anything is created.
    """
    load_experiment(file, providers=plugins.providers())
    directory = Directory(env) if env else for_experiment(file, workshop.where)
    with directory.locked():
        if not directory.exists():
            directory.create(provider="")
        session = _open(directory, workshop)
        _end_leftovers(session)
        follow(session, file)
        yield session


@contextmanager
def resuming(
    env: Path | None, workshop: Workshop, *, reread: bool = True, lock: bool = True
) -> Iterator[Session]:
    """Open the experiment of a directory.

    Args:
        env: the directory, None for `current`.
        workshop: the ports.
        reread: take over what the user changed in the file meanwhile; a file that
            became wrong is a ConfigError.
        lock: False for commands that only look.

    """
    directory = find(env, workshop.where)
    state = directory.load()
    with directory.locked() if lock else nullcontext():
        session = _open(directory, workshop)
        if lock:
            _end_leftovers(session)
        if reread and Path(state.source).is_file():
            follow(session, Path(state.source))
        yield session


def follow(session: Session, file: Path) -> None:
    """Take over the experiment file: copied verbatim, changes journaled as a diff."""
    experiment = load_experiment(file, providers=plugins.providers())
    for warning in experiment.warnings:
        session.progress.warn(warning)
    copy, text = session.directory.experiment, file.read_text(encoding="utf-8")
    old = copy.read_text(encoding="utf-8") if copy.exists() else ""
    if old and old != text:
        diff = "\n".join(unified_diff(old.splitlines(), text.splitlines(), lineterm=""))
        session.directory.journal.append("decision", "experiment changed", diff=diff)
        session.progress.decision(f"`{file.name}` has changed: its new text is used")
    if old != text:
        write_atomically(copy, text)
    session.save(
        source=str(file.resolve()),
        provider=experiment.provider,
        settings=dict(experiment.settings),
    )


def _open(directory: Directory, workshop: Workshop) -> Session:
    make_private(directory.sockets, experiment=directory.path)
    return Session(
        directory=directory,
        shell=workshop.shell(directory.load().session),
        progress=workshop.progress,
        cache=workshop.cache,
    )


def _end_leftovers(session: Session) -> None:
    """End the processes a killed enos left, and undo what its events changed."""
    end_leftovers(session.directory.load().session)
    if session.directory.changed.exists():
        from enos.phases import events

        events.recover(session)


def _record(session: Session, name: str, record: PhaseRecord) -> None:
    session.directory.save(session.directory.load().with_phase(name, record))
