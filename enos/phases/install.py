"""`enos os`: OpenStack on the machines, by kolla-ansible."""

import hashlib
import json
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from enos.ansible import inventory as ini
from enos.ansible.runner import run as run_ansible
from enos.errors import ConfigError
from enos.kolla import brokers, releases, stopping, subcommands
from enos.kolla import deployment as kolla
from enos.kolla import globals as variables
from enos.kolla.nodes import Node, probe
from enos.kolla.plan import Deployment, Place, Wish, plan_deployment
from enos.phases import guests, images, metrics
from enos.phases.foreseen import brought
from enos.phases.session import Session, phase
from enos.state.directory import write_atomically
from enos.state.record import PhaseRecord
from enos.testbed import Testbed

MARK = "deployed"
"""File below the kolla folder: fingerprint of the OpenStack that is there."""

OPENSTACK = ("os", "init", "bench")
"""Phases that are undone when OpenStack is removed."""


def planned(
    session: Session, *, action: str = "deploy", absent: Collection[str] = ()
) -> Deployment:
    """Return the deployment the experiment comes to on its testbed.

    Machines that do not answer (`absent`) are taken to be like another one.
    """
    experiment, testbed = session.experiment, session.testbed
    release = releases.release(experiment.release)
    installed = brought(experiment, session.tools)
    return plan_deployment(
        Wish(
            session=session.directory.load().session,
            release=release,
            virt=experiment.virt,
            fake_computes=experiment.fake_computes,
            images=images.variables(session),
            profiled=experiment.osprofiler,
            kolla=experiment.kolla,
            custom=_custom(session),
        ),
        testbed=testbed,
        nodes=_nodes(session, absent),
        installed=installed,
        place=Place(root=session.directory.kolla, sockets=session.directory.sockets),
        action=action,
    )


def run(session: Session, *, again: bool = True) -> None:
    """Deploy OpenStack.

    Args:
        session: an experiment whose machines are up.
        again: False to leave an OpenStack alone that was deployed from the same
            inventory, variables and release.

    """
    session.require("up")
    with phase(session, "os") as running:
        plan = planned(running.session)
        if not again and deployed(session) == fingerprint(plan):
            with running.session.progress.step("OpenStack") as step:
                step.skipped("deployed from the same inventory and variables")
        else:
            guests.prepare(running.session)
            _clear_brokers(running.session, plan)
            with _deploying(session, plan):
                kolla.deploy(
                    plan,
                    shell=running.session.shell,
                    progress=running.session.progress,
                    remembered=_remembered(session),
                )
        metrics.follow_services(running.session, plan.inventory, plan.variables)


def act(session: Session, action: str, tags: Sequence[str] = ()) -> None:
    """Run one action of kolla-ansible: `deploy` with tags, `reconfigure`, `pull`.

    Only what goes over all services completes the phase; with tags an OpenStack that
    was complete stays so, and another does not become it.
    """
    session.require("up")
    if action == "pull" or tags:
        _partly(session, action, tags)
        return
    with phase(session, "os") as running:
        plan = planned(running.session, action=action)
        with _deploying(session, plan):
            kolla.deploy(
                plan,
                shell=running.session.shell,
                progress=running.session.progress,
                action=action,
            )
        metrics.follow_services(running.session, plan.inventory, plan.variables)


def _partly(session: Session, action: str, tags: Sequence[str]) -> None:
    plan, before = planned(session, action=action), deployed(session)
    changes = action != "pull"
    if changes:
        forget(session)
        _begin(session)
    kolla.deploy(
        plan, shell=session.shell, progress=session.progress, action=action, tags=tags
    )
    if changes and before == fingerprint(plan):
        write_atomically(session.directory.kolla / MARK, before)
    if changes and session.directory.load().done("os"):
        metrics.follow_services(session, plan.inventory, plan.variables)


def measure(session: Session) -> None:
    """Have what is deployed measured, or not, as the experiment file says now."""
    session.require("up")
    metrics.run(session)
    if metrics.monitored(session) and session.directory.load().done("os"):
        plan = planned(session)
        metrics.follow_services(session, plan.inventory, plan.variables)


def command(session: Session, words: Sequence[str]) -> None:
    """Run any kolla-ansible command on the deployment as it is configured.

    After one that changes what runs, the next deployment looks at everything again.
    """
    plan = planned(session, action=subcommands.action(words[0]))
    kolla.write(plan, shell=session.shell)
    wanted = kolla.kolla_command(plan, words)
    if words[0] not in subcommands.READS:
        forget(session)
        _begin(session)
    with session.progress.step(wanted.title) as step:
        run_ansible(wanted, shell=session.shell, step=step)
    if words[0] == "destroy" and not subcommands.limited(words):
        unwire(session, plan, session.testbed)
        state = session.directory.load()
        session.directory.save(state.without_phases(*OPENSTACK))


def unwire(session: Session, plan: Deployment, there: Testbed) -> None:
    """Take away what is left of Open vSwitch on machines that have no OpenStack now."""
    external = str(plan.variables.get("neutron_bridge_name", "br-ex")).split(",")
    sockets = session.directory.sockets
    stopping.unwire(there, session.shell, sockets, external=external)


def as_text(plan: Deployment) -> str:
    """Return what a deployment will be: inventory, variables, decisions."""
    notes = "".join(f"# {decision}\n" for decision in plan.decisions)
    inventory, chosen = ini.render(plan.inventory), variables.render(plan.variables)
    return f"{notes}\n# inventory\n{inventory}\n# globals.yml\n{chosen}"


def fingerprint(plan: Deployment) -> str:
    """Return a hash of all that decides what gets deployed."""
    parts: list[Any] = [
        plan.release.kolla_ansible,
        ini.render(plan.inventory),
        variables.render(plan.variables),
        dict(plan.config),
        _contents(plan.custom),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def deployed(session: Session) -> str:
    """Return the fingerprint of the OpenStack that is there, empty for none."""
    mark = session.directory.kolla / MARK
    return mark.read_text(encoding="utf-8") if mark.exists() else ""


def forget(session: Session) -> None:
    """Say that no complete OpenStack is there any more."""
    (session.directory.kolla / MARK).unlink(missing_ok=True)


def _begin(session: Session) -> None:
    """Have the state tell that something of OpenStack may be there, if nothing does."""
    state, now = session.directory.load(), time.time()
    if "os" not in state.phases:
        record = PhaseRecord(status="failed", started=now, finished=now)
        session.directory.save(state.with_phase("os", record))


def _clear_brokers(session: Session, plan: Deployment) -> None:
    brokers.clear(
        session.testbed,
        plan.shadow.engine,
        session.shell,
        session.progress,
        session.directory.sockets,
    )


@contextmanager
def _deploying(session: Session, plan: Deployment) -> Iterator[None]:
    """Mark the deployment as complete when, and only when, the block ends well."""
    forget(session)
    yield
    write_atomically(session.directory.kolla / MARK, fingerprint(plan))


def _nodes(session: Session, absent: Collection[str]) -> dict[str, Node]:
    testbed = session.testbed
    there = tuple(host for host in testbed.hosts if host.name not in absent)
    found = probe(
        replace(testbed, hosts=there), session.shell, sockets=session.directory.sockets
    )
    like = next(iter(found.values()))
    return {host.name: found.get(host.name, like) for host in testbed.hosts}


def _remembered(session: Session) -> Path | None:
    """Return where prechecks that passed are remembered, None on machines that stay.

    Those may have changed since; the others are made anew from the same recipe.
    """
    return None if session.provider.keeps else session.cache / "prechecked"


def _custom(session: Session) -> Path | None:
    """Return the folder `node_custom_config` of the `kolla:` map names."""
    named = session.experiment.kolla.get("node_custom_config")
    if not named:
        return None
    folder = (Path(session.directory.load().source).parent / str(named)).resolve()
    if not folder.is_dir():
        raise ConfigError(
            f"`node_custom_config` names `{folder}`, which is not a folder",
            hint="paths in the experiment file start from the file's own folder",
        )
    return folder


def _contents(folder: Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
