"""`enos tc`: shape the network between groups, change it by hand, prove it, undo it."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from enos import netem
from enos.config.constraints import NetworkConstraints
from enos.phases import baseline, byhand, deployed
from enos.phases.session import Session, phase
from enos.report.heatmap import RttMatrix, as_svg, rtt_matrix
from enos.report.page import heat_map_page
from enos.report.readings import Link
from enos.state.directory import write_atomically
from enos.testbed import Testbed

PLAN, PROOF = "tc-plan.txt", "tc.json"
ROWS, HEAT_MAP = "tc.csv", "tc-rtt.html"
COLUMNS = (
    *("source", "destination", "source_group", "destination_group", "network"),
    *("quantity", "asked", "baseline", "measured", "low", "high", "unit", "ok"),
)
UNITS = {"rtt": "ms", "jitter": "ms", "rate": "bit/s"}  # of the others, percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was asked and what was measured.

    Attributes:
        by_hand: what was set over the experiment file.
        matrix: the round trips between groups, None when there are none.
        unmeasured: pairs of hosts that stand for links nobody looked at.
        shortcomings: what the back end does not do as asked, a sentence each.

    """

    backend: str
    verdicts: tuple[netem.Verdict, ...]
    measurement: netem.Measurement
    by_hand: tuple[byhand.Written, ...] = ()
    matrix: RttMatrix | None = None
    unmeasured: int = 0
    shortcomings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "backend": self.backend,
            "set": [dict(one) for one in self.by_hand],
            "verdicts": [one.to_json() for one in self.verdicts],
            "measurement": self.measurement.to_json(),
            "unmeasured_pairs": self.unmeasured,
            "shortcomings": list(self.shortcomings),
        }


def constraints(
    session: Session, by_hand: Sequence[byhand.Written] | None = None
) -> NetworkConstraints:
    """Return what the file asks with what was, or is to be, set over it."""
    several = byhand.read(session.directory) if by_hand is None else by_hand
    overrides = tuple(spec for one in several for spec in byhand.specs(one))
    return replace(session.experiment.constraints, overrides=overrides)


def planned(
    session: Session,
    by_hand: Sequence[byhand.Written] | None = None,
    vips: Sequence[netem.Vip] | None = None,
) -> netem.EmulationPlan:
    """Return the plan for the experiment's constraints on its testbed.

    Args:
        session: of an experiment whose machines are there.
        by_hand: what is set over the file, by default what was.
        vips: by default those the hosts were told of.

    """
    testbed = session.testbed
    known = deployed.vips_told(session) if vips is None else vips
    here = netem.controller_addresses(session.shell)
    asked = constraints(session, by_hand)
    return netem.plan_emulation(asked, testbed, vips=known, controller=here)


def lines(session: Session, wish: byhand.Written | None = None) -> tuple[str, ...]:
    """Return every command of the plan, host by host, for the hosts' back end.

    What was set by hand is in it; a wish is what is to be set over that.
    """
    by_hand = (*byhand.read(session.directory), *([wish] if wish else ()))
    plan = planned(session, by_hand, deployed.vips(session))
    told = [f"# {row}" for row in byhand.rows(by_hand)]
    if told and not wish:
        told.append("# `enos tc` goes back to the file, without them")
    return (*told, *_lines(plan, _choice(session, plan).backend))


def run(session: Session) -> None:
    """Shape the network as the file says; the first time, measure it as it was."""
    dropped = byhand.rows(byhand.read(session.directory))
    _shape(session, ())
    if dropped:
        session.progress.decision(
            f"the network is the file's again, without what was {'; '.join(dropped)}"
        )


def set_by_hand(session: Session, wish: byhand.Written) -> None:
    """Shape the network with a constraint over the file and over earlier ones."""
    _shape(session, (*byhand.read(session.directory), wish))


def _shape(session: Session, by_hand: tuple[byhand.Written, ...]) -> None:
    session.require("up")
    with phase(session, "tc") as running:
        inner, vips = running.session, deployed.vips(running.session)
        plan = planned(session, by_hand, vips)
        backend = _choice(inner, plan).backend
        running.facts["backend"] = str(backend)
        running.facts[deployed.FACT] = {vip.address: vip.host for vip in vips}
        for row in byhand.rows(by_hand):
            inner.progress.decision(row)
        for what in shortcomings(inner, plan, backend):
            inner.progress.warn(what)
        idle = netem.idle_defaults(constraints(session, by_hand), inner.testbed)
        if idle:
            inner.progress.warn(idle)
        baseline.ensure(inner, netem.pairs_to_measure(plan, inner.testbed))
        with _keeping(session, by_hand):
            netem.apply(
                plan,
                inner.testbed,
                inner.shell,
                inner.progress,
                backend=backend,
                sockets=inner.directory.sockets,
            )
        text = "\n".join(_lines(plan, backend)) + "\n"
        write_atomically(inner.directory.results / PLAN, text)


@contextmanager
def _keeping(session: Session, by_hand: tuple[byhand.Written, ...]) -> Iterator[None]:
    """Keep what is set, unless it cannot be applied: then it never was."""
    before = byhand.read(session.directory)
    byhand.write(session.directory, by_hand)
    try:
        yield
    except BaseException:
        byhand.write(session.directory, before)
        raise


def prove(session: Session) -> Proof:
    """Measure what was shaped and write it down next to what was asked.

    Raises EmulationError when a host does not do what was planned, StateError before
    `tc`. Whether the figures are good is for `netem.require` to say.
    """
    session.require("tc")
    backend, plan = in_force(session)
    testbed = session.testbed
    lacking = shortcomings(session, plan, backend)
    for what in lacking:
        session.progress.warn(what)
    before = baseline.read(session)
    pairs = netem.pairs_to_measure(plan, testbed)
    found = baseline.measured(session, pairs, baseline=before)
    several = netem.verdicts(found, before)
    proof = Proof(
        backend=str(backend),
        verdicts=several,
        measurement=found,
        by_hand=byhand.read(session.directory),
        matrix=_matrix(several, testbed),
        unmeasured=netem.pairs_in_all(plan, testbed) - len(pairs),
        shortcomings=lacking,
    )
    if proof.unmeasured:
        session.progress.warn(
            f"{proof.unmeasured} more pairs of hosts would show every link: measured "
            f"are {len(pairs)}, first those of which different things are asked"
        )
    _keep_proof(session, proof)
    return proof


def in_force(session: Session) -> tuple[netem.Backend, netem.EmulationPlan]:
    """Return what emulates which plan, once the hosts said that they do.

    Raises EmulationError naming the host where it is not, or no longer, what was
    planned, or the VIP that moved to where other links lead.
    """
    record = session.directory.load().phases["tc"]
    backend, plan = netem.Backend(str(record.facts["backend"])), planned(session)
    sockets = session.directory.sockets
    netem.check(plan, session.testbed, session.shell, backend=backend, sockets=sockets)
    told, now = deployed.vips_told(session), deployed.vips(session)
    if deployed.there(session) and told != now:
        others = planned(session, vips=now)
        deployed.require_unmoved(plan, others, (*told, *now))
    return backend, plan


def shortcomings(
    session: Session, plan: netem.EmulationPlan, backend: netem.Backend
) -> tuple[str, ...]:
    """Return what a back end will not do as the plan asks, a sentence each."""
    return netem.shortcomings(plan, backend, bypassed=deployed.bypassed(session))


def _matrix(several: Sequence[netem.Verdict], testbed: Testbed) -> RttMatrix | None:
    links = (Link(**one.to_json()) for one in several)
    return rtt_matrix(links, {host.name: host.groups for host in testbed.hosts})


def _keep_proof(session: Session, proof: Proof) -> None:
    results, testbed = session.directory.results, session.testbed
    _keep(session, PROOF, proof.to_json())
    write_atomically(results / ROWS, as_csv(proof.verdicts, testbed))
    if proof.matrix:
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, emulated by {proof.backend}"
        name = session.directory.path.resolve().name
        page = heat_map_page(name, as_svg(proof.matrix), when)
        write_atomically(results / HEAT_MAP, page)


def as_csv(several: Sequence[netem.Verdict], testbed: Testbed) -> str:
    """Return a tidy row, of COLUMNS, for each quantity of each link."""
    groups = {host.name: "+".join(host.groups) for host in testbed.hosts}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in several:
        ends = (groups[one.source], groups[one.destination])
        figures = (one.asked, one.baseline, one.measured, one.low, one.high)
        place = (one.source, one.destination, *ends, one.network, one.quantity)
        writer.writerow([*place, *figures, UNITS.get(one.quantity, "%"), int(one.ok)])
    return out.getvalue()


def reset(session: Session) -> None:
    """Remove what enos added to the network; harmless when there is nothing."""
    sockets = session.directory.sockets
    netem.reset(session.testbed, session.shell, session.progress, sockets=sockets)
    byhand.write(session.directory, ())
    session.directory.save(session.directory.load().without_phases("tc"))


def _choice(session: Session, plan: netem.EmulationPlan) -> netem.Choice:
    sockets = session.directory.sockets
    return netem.probe_backend(
        session.testbed, session.shell, session.progress, plans=[plan], sockets=sockets
    )


def _lines(plan: netem.EmulationPlan, backend: netem.Backend) -> tuple[str, ...]:
    told = netem.commands(plan, backend)
    return tuple(
        line for host, mine in told.items() for line in (f"# {host}", mine.text)
    )


def _keep(session: Session, name: str, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=2) + "\n"
    write_atomically(session.directory.results / name, text)
