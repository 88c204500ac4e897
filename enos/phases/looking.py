"""Opening an experiment without touching it: what `--dry-run` plans from.

No directory is made, no lock taken, no file copied, no process ended. The experiment
file is read where its author keeps it; what it says is supposed, not saved.
"""

from dataclasses import replace
from pathlib import Path

from enos import plugins
from enos.config.experiment import load_experiment
from enos.phases.session import Session, Workshop
from enos.state.directory import Directory, find, for_experiment
from enos.state.private import make_private
from enos.state.record import State

NOT_YET = "enos-000000"
"""Stands for the session id of an experiment that has not begun."""


def at_file(file: Path, env: Path | None, workshop: Workshop) -> Session:
    """Return what `enos.phases.session.starting` would open."""
    directory = Directory(env) if env else for_experiment(file, workshop.where)
    begun = directory.exists()
    state = directory.load() if begun else State(session=NOT_YET, provider="")
    return _supposed(directory, state, file, workshop)


def at_directory(
    env: Path | None, workshop: Workshop, *, reread: bool = True
) -> Session:
    """Return what `enos.phases.session.resuming` would open."""
    directory = find(env, workshop.where)
    state = directory.load()
    source = Path(state.source)
    file = source if reread and source.is_file() else None
    return _supposed(directory, state, file, workshop)


def _supposed(
    directory: Directory, state: State, file: Path | None, workshop: Workshop
) -> Session:
    if file is not None:
        experiment = load_experiment(file, providers=plugins.providers())
        for warning in experiment.warnings:
            workshop.progress.warn(warning)
        state = replace(
            state,
            source=str(file.resolve()),
            provider=experiment.provider,
            settings=dict(experiment.settings),
        )
    supposed = replace(directory, supposed=state)
    if state.testbed is not None:  # ssh(1) wants the folder of its control sockets
        make_private(supposed.sockets, experiment=supposed.path)
    return Session(
        directory=supposed,
        shell=workshop.shell(state.session),
        progress=workshop.progress,
        cache=workshop.cache,
        file=file,
    )
