"""What commands would do, as lines for their `--dry-run`; found by looking alone.

Machines that are there are asked what they can do; for others addresses stand in. Only
the Python environment of kolla-ansible is made, in the cache, when it is missing: the
inventory is derived from the one it brings.
"""

import platform
import shlex
from collections.abc import Sequence

from enos import netem
from enos.images import locks, ready
from enos.kolla import deployment as kolla
from enos.netem.commands import clearing_script
from enos.netem.measure import probes
from enos.phases import check, images, init, install, metrics, tc, up
from enos.phases.foreseen import foreseen
from enos.phases.planned import planned_testbed
from enos.phases.session import Session
from enos.provider import SharesImages


def machines(session: Session) -> tuple[str, ...]:
    """Return what `enos up` would get: machines, their images, their monitoring."""
    experiment = session.experiment
    testbed = planned_testbed(experiment.provider, experiment.demand)
    measured = check.monitoring(experiment, testbed)
    if not measured and metrics.PHASE in session.directory.load().phases:
        measured = ("", "remove the monitoring; its measures are kept in results")
    return (*up.plan(session), *_shared(session), *measured)


def built(session: Session) -> tuple[str, ...]:
    """Return what `enos images build` would have; what is there is not asked."""
    experiment = session.experiment
    names, lock = images.wanted(session), locks.load(experiment.release)
    own = ready.built_set(lock, names, platform.machine())
    kollas = ready.kolla_set(lock, names)
    verb, chosen = {
        "pull": ("pull", kollas),
        "build": ("build", own),
        "auto": (f"pull as {kollas.reference('NAME')}, or else build", own),
    }[experiment.images]
    head = f"{verb} what is missing of {len(names)} images:"
    return (head, *(f"  {chosen.reference(name)}" for name in names))


def pushed(session: Session, registry: str) -> tuple[str, ...]:
    """Return what pushing images to a registry would do; it is not asked."""
    return (*built(session), f"push what is missing of them to {registry}")


def _shared(session: Session) -> tuple[str, ...]:
    """Return what of it `enos up` would do, on the way to the machines."""
    kind = session.experiment.registry.type
    if kind == "internal":
        return pushed(session, "a registry on one of the machines")
    shared = isinstance(session.provider, SharesImages) and kind == "none"
    return built(session) if shared else ()


def openstack(
    session: Session, action: str = "deploy", tags: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return inventory, variables and commands of an action of kolla-ansible."""
    plan = install.planned(session, action=action)
    told = [shlex.join(run.argv) for run in kolla.commands(plan, action, tags)]
    return (*install.as_text(plan).splitlines(), "", "# commands", *told)


def command(session: Session, words: Sequence[str]) -> tuple[str, ...]:
    """Return the command line of kolla-ansible behind `enos os -- WORDS`."""
    return (shlex.join(kolla.kolla_command(install.planned(session), words).argv),)


def everything(session: Session) -> tuple[str, ...]:
    """Return what `enos deploy` would do, phase by phase."""
    experiment, there = session.experiment, session.directory.load().testbed
    testbed = there or planned_testbed(experiment.provider, experiment.demand)
    if there is None:
        text = install.as_text(foreseen(experiment, session.tools))
        deployed = ("# addresses stand in for those to come", *text.splitlines())
    elif install.deployed(session) == install.fingerprint(install.planned(session)):
        deployed = ("nothing: it is there, from the same inventory and variables",)
    else:
        deployed = openstack(session)
    return (
        *("## enos up", *machines(session)),
        *("", "## enos os", *deployed),
        *("", "## enos init", *init.plan(session, testbed)),
    )


def reset(session: Session) -> tuple[str, ...]:
    """Return the script that `enos tc --reset` runs, and where."""
    names = ", ".join(host.name for host in session.testbed.hosts)
    return (f"# on {names}", *clearing_script().splitlines())


def proof(session: Session) -> tuple[str, ...]:
    """Return what `enos tc --test` would measure; raises StateError before `tc`."""
    session.require("tc")
    plan = tc.planned(session)
    return tuple(
        line
        for pair in netem.pairs_to_measure(plan, session.testbed)
        for line in _measured(pair)
    )


def _measured(pair: netem.Pair) -> tuple[str, ...]:
    ends = f"{pair.source} <-> {pair.destination} on {pair.network}"
    rated = ", then their rates" if pair.there.rate or pair.back.rate else ""
    return (
        f"{ends}: {probes(pair)} round trips from each end{rated}",
        f"  there: {pair.there}",
        f"  back: {pair.back}",
    )
