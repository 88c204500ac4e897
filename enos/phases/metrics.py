"""Monitoring: agents on the machines, what they measured, and whether all of it."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from enos.ansible.inventory import Inventory
from enos.errors import MonitoringError, StateError
from enos.metrics import (
    accounts,
    annotations,
    converge,
    database,
    gaps,
    grafana,
    saved,
)
from enos.metrics.plan import (
    MonitoringPlan,
    database_host,
    plan_monitoring,
    service_files,
)
from enos.metrics.series import Series, query
from enos.phases import agents, drawn, services, since
from enos.phases.session import Session, phase
from enos.state.directory import write_atomically
from enos.testbed import Testbed

PHASE = "metrics"
PASSWORD = Path("metrics") / "password"
COVERAGE = "metrics.json"
"""File beside a run's results: whether the machines were measured all along."""

SAVED = "metrics"
"""Folder of the results with all measures; see `enos.metrics.saved`."""


LATE = 20.0
"""Seconds agents may need to send what they kept while the network was cut."""


def planned(session: Session, testbed: Testbed | None = None) -> MonitoringPlan:
    """Return the monitoring of the experiment; raises StateError when it has none."""
    wanted = session.experiment.monitoring
    if wanted is None:
        raise StateError(
            f"`{session.directory.path.name}` is not monitored",
            hint="write `enable_monitoring: true` in the experiment file, then"
            " run `enos up`",
        )
    chosen = testbed or session.testbed
    return plan_monitoring(chosen, wanted, password=_password(session))


def run(session: Session) -> None:
    """Have agents and database run, or not, as the experiment file says."""
    if session.experiment.monitoring is None:
        if PHASE in session.directory.load().phases:
            _end(session)
        return
    with phase(session, PHASE) as running:
        inner, plan = running.session, planned(session)
        for why in plan.decisions:
            inner.progress.decision(why)
        sockets = inner.directory.sockets
        converge.converge(
            plan,
            inner.shell,
            inner.progress,
            bundles=agents.bundles(plan, inner),
            sockets=sockets,
        )
        since.remember(inner.directory, plan)
        running.facts.update({"url": plan.url, "interval": plan.interval})
        if inner.experiment.monitoring and inner.experiment.monitoring.grafana:
            running.facts["grafana"] = _grafana(inner, plan)
        else:
            grafana.remove(plan.database, inner.shell, sockets=sockets)


def _grafana(session: Session, plan: MonitoringPlan) -> str:
    sockets = session.directory.sockets
    told = {plan.database.name: grafana.files(plan)}
    converge.put(told, session.testbed, session.shell, sockets=sockets)
    url = grafana.show(plan, session.shell, session.progress, sockets=sockets)
    if url:
        where = f"`{session.directory.path.name}/{PASSWORD}`"
        session.progress.decision(f"Grafana is at {url}: admin, password in {where}")
    return url


def _end(session: Session) -> None:
    """Remove monitoring that is wanted no more, once its measures are saved here.

    Raises MonitoringError when a database that was there cannot give them.
    """
    keeper, _ = database_host(session.testbed)
    name = f"{SAVED}-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    folder, sockets = session.directory.results / name, session.directory.sockets
    try:
        with session.progress.step("measures", host=keeper.name):
            saved.save(keeper, folder, session.shell, sockets=sockets)
    except MonitoringError as lost:
        if session.directory.load().done(PHASE):
            hint = "`enable_monitoring: true` keeps it; `destroy --hard` does not"
            raise MonitoringError(
                lost.message, hint=hint, details=lost.details
            ) from lost
        session.progress.warn(lost.message)
    else:
        where = folder.relative_to(session.directory.path)
        session.progress.decision(
            f"monitoring is removed, its measures are in `{where}`"
        )
    remove(session)


def remove(session: Session) -> None:
    """Remove agents, database and measures from the machines."""
    since.forget(session.directory)
    services.forget(session.directory)
    sockets = session.directory.sockets
    converge.remove(session.testbed, session.shell, session.progress, sockets=sockets)
    session.directory.save(session.directory.load().without_phases(PHASE))


def follow_services(
    session: Session, inventory: Inventory, variables: Mapping[str, Any]
) -> None:
    """Tell the agents how to ask the services that were deployed."""
    if not monitored(session):
        return
    file = session.directory.kolla / "passwords.yml"
    known = yaml.safe_load(file.read_text(encoding="utf-8"))
    groups = accounts.GROUPS.values()
    members = {group: inventory.members(group) for group in groups}
    asked = accounts.accounts(members, variables, known)
    told = service_files(session.testbed, asked)
    services.remember(session.directory, {host: list(asked[host]) for host in asked})
    with session.progress.step("monitoring of the services"):
        sockets = session.directory.sockets
        converge.put(told, session.testbed, session.shell, sockets=sockets)


def monitored(session: Session) -> bool:
    """Tell whether agents run on the machines."""
    wanted = session.experiment.monitoring is not None
    return wanted and session.directory.load().done(PHASE)


def influx(session: Session) -> database.Influx:
    """Return the experiment's database; raises StateError when there is none."""
    plan = planned(session)
    if not session.directory.load().done(PHASE):
        raise StateError(
            f"the machines of `{session.directory.path.name}` are not measured yet",
            hint="run `enos metrics start` first",
        )
    return database.of_plan(plan, session.shell, session.directory.sockets)


def annotate(session: Session) -> None:
    """Write what happened beside the measures; again and again, harmlessly."""
    influx(session).write(annotations.lines(session.directory.journal.events()))


def covered(session: Session, folder: Path, begin: float) -> gaps.Coverage | None:
    """Find out whether a run was measured all along, and keep that with its results.

    None for an experiment without monitoring. Never raises for missing measures: the
    run is over and its results are to be kept; `Coverage.require` raises.
    """
    if not monitored(session):
        return None
    with session.progress.step("measures of the run") as step:
        step.awaiting("the last samples")
        found = _settled(session, begin, time.time())
        text = json.dumps(found.to_json(), indent=2) + "\n"
        write_atomically(folder / COVERAGE, text)
        lacks = _drawn(session, folder, found)
    _warn(session, found)
    if lacks and not found.problem:
        session.progress.warn(f"the page of the run lacks its measures: {lacks}")
    return found


def _drawn(session: Session, folder: Path, run: gaps.Coverage) -> str:
    """Keep what a page draws of a run; return why that could not be."""
    span = (run.begin - gaps.PERIODS * run.interval, run.end)
    try:
        drawn.keep(influx(session), folder, span, run.interval)
    except MonitoringError as silent:
        return silent.message
    return ""


def keep(session: Session) -> gaps.Coverage | None:
    """Have all measures so far among the results; None without monitoring.

    Never raises for missing measures, so that what there is can be archived.
    """
    if not monitored(session):
        return None
    plan, results = planned(session), session.directory.results
    with session.progress.step("measures", host=plan.database.name) as step:
        step.awaiting("what is missing")
        known = since.read(session.directory)
        last = session.directory.load().phases[PHASE].finished
        found = coverage(session, min(known.values(), default=last), time.time())
        step.awaiting("InfluxDB")
        try:
            sockets = session.directory.sockets
            saved.save(plan.database, results / SAVED, session.shell, sockets=sockets)
        except MonitoringError as lost:
            found = replace(found, problem=found.problem or lost.message)
        text = json.dumps(found.to_json(), indent=2) + "\n"
        write_atomically(results / COVERAGE, text)
    _warn(session, found)
    return found


def passwords(session: Session) -> tuple[str, ...]:
    """Return what must not leave in an archive."""
    known = _password(session) if session.experiment.monitoring else ""
    return (known,) if known else ()


def _warn(session: Session, found: gaps.Coverage) -> None:
    for gap in found.gaps:
        session.progress.warn(f"measures are missing of {gap}")
    if found.problem:
        session.progress.warn(found.problem)


def _settled(session: Session, begin: float, end: float) -> gaps.Coverage:
    """Return what is missing once agents had time to send what they kept."""
    interval = planned(session).interval
    deadline = time.monotonic() + interval + LATE
    time.sleep(interval)
    found = coverage(session, begin, end)
    while not found.ok and time.monotonic() < deadline:
        time.sleep(1)
        found = coverage(session, begin, end)
    return found


def coverage(session: Session, begin: float, end: float) -> gaps.Coverage:
    """Return what is missing of a span, whatever the state of the database."""
    plan = planned(session)
    span = gaps.Coverage(
        begin=begin,
        end=end,
        interval=plan.interval,
        hosts=tuple(one.host.name for one in plan.hosts),
    )
    try:
        annotate(session)
        found = series(session, gaps.ASKED, begin=begin, end=end)
    except MonitoringError as lost:
        return replace(span, problem=lost.message)
    missing = gaps.find(found, span, since.read(session.directory))
    # The file outlives the OpenStack it was written for.
    deployed = session.directory.load().done("os")
    wanted = services.read(session.directory) if deployed else {}
    silent = gaps.silent(found, span, wanted)
    problem = "; ".join((*gaps.losses(found), *silent))
    return replace(span, gaps=missing, problem=problem)


def series(
    session: Session,
    measures: Sequence[str] = (),
    hosts: Sequence[str] = (),
    *,
    begin: float | None = None,
    end: float | None = None,
    every: float | None = None,
) -> tuple[Series, ...]:
    """Return what was measured; arguments as those of `enos.metrics.series.query`."""
    return query(
        influx(session),
        measures=measures,
        hosts=hosts,
        begin=begin,
        end=end,
        every=every,
    )


def _password(session: Session) -> str:
    """Return the password of the database, made once per experiment.

    It is empty for one who only looks, before it was made.
    """
    file = session.directory.path / PASSWORD
    if not file.exists():
        if session.directory.supposed is not None:
            return ""
        file.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(file, secrets.token_urlsafe(24) + "\n", mode=0o600)
    return file.read_text(encoding="ascii").strip()
