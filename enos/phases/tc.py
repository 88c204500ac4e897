"""`enos tc`: shape the network between groups, prove it, undo it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from enos import netem
from enos.phases.session import Session, phase
from enos.state.directory import write_atomically
from enos.testbed import Testbed

PLAN, BASELINE, PROOF = "tc-plan.txt", "tc-baseline.json", "tc.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was asked and what was measured."""

    backend: str
    verdicts: tuple[netem.Verdict, ...]
    measurement: netem.Measurement

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "backend": self.backend,
            "verdicts": [one.to_json() for one in self.verdicts],
            "measurement": self.measurement.to_json(),
        }


def planned(session: Session) -> netem.EmulationPlan:
    """Return the plan for the experiment's constraints on its testbed."""
    testbed = session.testbed
    known = vips(session.directory.kolla, testbed)
    here = netem.controller_addresses(session.shell)
    constraints = session.experiment.constraints
    return netem.plan_emulation(constraints, testbed, vips=known, controller=here)


def lines(session: Session) -> tuple[str, ...]:
    """Return every command of the plan, host by host, for the hosts' back end."""
    return _lines(planned(session), _choice(session).backend)


def run(session: Session) -> None:
    """Shape the network; the first time, measure it as it was before."""
    session.require("up")
    with phase(session, "tc") as running:
        inner, plan = running.session, planned(session)
        backend = _choice(inner).backend
        running.facts["backend"] = str(backend)
        _ensure_baseline(inner, netem.pairs_to_measure(plan, inner.testbed))
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


def prove(session: Session) -> Proof:
    """Measure what was shaped and write it down next to what was asked.

    Raises EmulationError when a host does not do what was planned, StateError before
    `tc`. Whether the figures are good is for `netem.require` to say.
    """
    session.require("tc")
    backend = str(session.directory.load().phases["tc"].facts["backend"])
    plan, testbed, sockets = (
        planned(session),
        session.testbed,
        session.directory.sockets,
    )
    netem.check(
        plan,
        testbed,
        session.shell,
        backend=netem.Backend(backend),
        sockets=sockets,
    )
    before = _baseline(session)
    pairs = netem.pairs_to_measure(plan, testbed)
    found = _measured(session, pairs, baseline=before)
    several = netem.verdicts(found, before)
    proof = Proof(backend=backend, verdicts=several, measurement=found)
    _keep(session, PROOF, proof.to_json())
    return proof


def reset(session: Session) -> None:
    """Remove what enos added to the network; harmless when there is nothing."""
    sockets = session.directory.sockets
    netem.reset(session.testbed, session.shell, session.progress, sockets=sockets)
    session.directory.save(session.directory.load().without_phases("tc"))


def vips(kolla: Path, testbed: Testbed) -> tuple[netem.Vip, ...]:
    """Return kolla's VIPs: addresses in `globals.yml` that no host has."""
    file = kolla / "globals.yml"
    if not file.exists():
        return ()
    chosen = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    own = {
        address.partition("/")[0]
        for host in testbed.hosts
        for nic in host.nics
        for address in nic.addresses
    }
    names = ("kolla_internal_vip_address", "kolla_external_vip_address")
    wanted = {str(chosen[name]) for name in names if name in chosen} - own
    holders = testbed.with_role("loadbalancer") or testbed.with_role("control")
    return tuple(netem.Vip(address=vip, host=holders[0].name) for vip in sorted(wanted))


def _choice(session: Session) -> netem.Choice:
    sockets = session.directory.sockets
    return netem.probe_backend(
        session.testbed, session.shell, session.progress, sockets=sockets
    )


def _lines(plan: netem.EmulationPlan, backend: netem.Backend) -> tuple[str, ...]:
    told = netem.commands(plan, backend)
    return tuple(
        line for host, mine in told.items() for line in (f"# {host}", mine.text)
    )


def _measured(
    session: Session,
    pairs: tuple[netem.Pair, ...],
    *,
    baseline: netem.Measurement | None = None,
) -> netem.Measurement:
    return netem.measure(
        pairs,
        session.testbed,
        session.shell,
        session.progress,
        baseline=baseline,
        sockets=session.directory.sockets,
    )


def _ensure_baseline(session: Session, pairs: tuple[netem.Pair, ...]) -> None:
    if (session.directory.results / BASELINE).exists():
        return
    sockets = session.directory.sockets
    netem.reset(session.testbed, session.shell, session.progress, sockets=sockets)
    _keep(session, BASELINE, _measured(session, pairs).to_json())


def _baseline(session: Session) -> netem.Measurement | None:
    file = session.directory.results / BASELINE
    if not file.exists():
        return None
    return netem.Measurement.from_json(json.loads(file.read_text(encoding="utf-8")))


def _keep(session: Session, name: str, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=2) + "\n"
    write_atomically(session.directory.results / name, text)
