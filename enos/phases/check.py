"""`enos check`: everything an experiment file comes to, before anything is touched.

Only the Python environment of kolla-ansible is made in the cache when it is missing,
since the inventory is derived from the one kolla-ansible brings.
"""

from itertools import islice
from pathlib import Path
from typing import Any

from enos import netem, plugins
from enos.ansible import inventory as ini
from enos.config.experiment import Experiment, load_experiment
from enos.demand import host_names
from enos.events import Ground, plan_events
from enos.metrics.plan import as_lines, plan_monitoring
from enos.phases.foreseen import foreseen
from enos.phases.info import Told
from enos.phases.install import as_text
from enos.phases.planned import planned_testbed
from enos.provider import SwitchesMachines
from enos.testbed import Testbed
from enos.toolenvs import ToolEnvironments

MOST = 1000  # rules printed: a thousand machines have a million


def run(file: Path, tools: ToolEnvironments) -> Told:
    """Return what would be got, deployed and shaped.

    Raises ConfigError or EmulationError for whatever is wrong with the file.
    """
    experiment = load_experiment(file, providers=plugins.providers())
    testbed = planned_testbed(experiment.provider, experiment.demand)
    cautions = warnings(experiment, testbed)
    for what in cautions:
        tools.progress.warn(what)
    wanted = machines(experiment)
    deployment = foreseen(experiment, tools)
    links = network(experiment, testbed)
    happening = events(experiment, testbed)
    measured = monitoring(experiment, testbed)
    parts = (
        _machine_rows(experiment.provider, wanted),
        as_text(deployment),
        _link_rows(links),
    )
    values = {
        "provider": experiment.provider,
        "machines": wanted,
        "inventory": ini.render(deployment.inventory),
        "variables": dict(deployment.variables),
        "decisions": list(deployment.decisions),
        "network": links,
        "warnings": list(cautions),
        "events": list(happening[2:]),
        "monitoring": list(measured[2:]),
    }
    return Told(text="\n".join((*parts, *happening, *measured)), values=values)


def warnings(experiment: Experiment, testbed: Testbed) -> tuple[str, ...]:
    """Return what the author should know of a file that is right."""
    idle = netem.idle_defaults(experiment.constraints, testbed)
    return (*experiment.warnings, *([idle] if idle else ()))


def machines(experiment: Experiment) -> list[dict[str, Any]]:
    """Return name, group, roles and flavour of each machine."""
    return [
        {
            "name": name,
            "group": machine.group,
            "roles": list(machine.roles),
            "flavour": machine.flavour,
        }
        for name, machine in host_names(experiment.demand)
    ]


def _machine_rows(provider: str, wanted: list[dict[str, Any]]) -> str:
    rows = [
        f"{one['name']:<20} {one['group']:<12} {','.join(one['roles']):<24} "
        f"{one['flavour']}".rstrip()
        for one in wanted
    ]
    return "\n".join((f"# {len(wanted)} machines of `{provider}`", *rows, ""))


def network(experiment: Experiment, testbed: Testbed) -> list[dict[str, str]]:
    """Return what would be shaped between each pair of hosts, at most MOST rules."""
    plan = netem.plan_emulation(experiment.constraints, testbed)
    pairs = {
        (rule.host, rule.target, rule.network): str(rule.shaping)
        for rule in islice(plan.rules(), MOST)
    }
    return [
        {"from": host, "to": target, "network": name, "shaping": shaping}
        for (host, target, name), shaping in pairs.items()
    ]


def _link_rows(links: list[dict[str, str]]) -> str:
    rows = [
        f"{one['from']:<16} -> {one['to']:<16} {one['network']:<10} {one['shaping']}"
        for one in links
    ]
    more = f", the first {MOST} rules" if len(links) >= MOST else ""
    return "\n".join((f"# from, to, network, shaping{more}", *rows))


def monitoring(experiment: Experiment, testbed: Testbed) -> tuple[str, ...]:
    """Return where measures would go and how often they would be taken."""
    if experiment.monitoring is None:
        return ()
    plan = plan_monitoring(testbed, experiment.monitoring, password="")
    head, *_ = as_lines(plan)
    return ("", "# monitoring", head, *plan.decisions)


def events(experiment: Experiment, testbed: Testbed) -> tuple[str, ...]:
    """Return a line for each event; the containers of services are not known yet.

    Raises CapabilityError when a machine is to be switched that cannot be.
    """
    timeline = experiment.events
    if not timeline.events:
        return ()
    kind = plugins.provider(experiment.provider)
    can = issubclass(kind, SwitchesMachines)
    ground = Ground(
        testbed=testbed,
        constraints=experiment.constraints,
        switch=(lambda _host, _verb: ()) if can else None,
    )
    since = f"`{timeline.origin}`" if timeline.origin else "the first scenario"
    head = f"# events, after the first iteration of {since} has begun"
    return ("", head, *(line.rstrip() for line in plan_events(timeline, ground).lines))
