"""`enos check`: everything an experiment file comes to, before anything is touched.

Only the Python environment of kolla-ansible is made in the cache when it is missing,
since the inventory is derived from the one kolla-ansible brings.
"""

from itertools import islice
from pathlib import Path

from enos import netem, plugins
from enos.config.experiment import Experiment, load_experiment
from enos.demand import host_names
from enos.events import Ground, plan_events
from enos.metrics.plan import as_lines, plan_monitoring
from enos.phases.foreseen import foreseen
from enos.phases.install import as_text
from enos.phases.planned import planned_testbed
from enos.provider import SwitchesMachines
from enos.testbed import Testbed
from enos.toolenvs import ToolEnvironments

MOST = 1000  # rules printed: a thousand machines have a million


def run(file: Path, tools: ToolEnvironments) -> str:
    """Return what would be got, deployed and shaped, as text.

    Raises ConfigError or EmulationError for whatever is wrong with the file.
    """
    experiment = load_experiment(file, providers=plugins.providers())
    testbed = planned_testbed(experiment.provider, experiment.demand)
    cautions = warnings(experiment, testbed)
    for what in cautions:
        tools.progress.warn(what)
    parts = (
        machines(experiment),
        as_text(foreseen(experiment, tools)),
        network(experiment, testbed),
    )
    more = (*events(experiment, testbed), *monitoring(experiment, testbed))
    return "\n".join((*parts, *more))


def warnings(experiment: Experiment, testbed: Testbed) -> tuple[str, ...]:
    """Return what the author should know of a file that is right."""
    idle = netem.idle_defaults(experiment.constraints, testbed)
    return (*experiment.warnings, *([idle] if idle else ()))


def machines(experiment: Experiment) -> str:
    """Return a line for each machine: name, group, roles, kind."""
    rows = [
        f"{name:<20} {machine.group:<12} {','.join(machine.roles):<24} "
        f"{machine.flavour}".rstrip()
        for name, machine in host_names(experiment.demand)
    ]
    head = f"# {experiment.demand.number} machines of `{experiment.provider}`"
    return "\n".join((head, *rows, ""))


def network(experiment: Experiment, testbed: Testbed) -> str:
    """Return a line for each pair of hosts that would be shaped."""
    plan = netem.plan_emulation(experiment.constraints, testbed)
    pairs = {
        (rule.host, rule.target, rule.network): str(rule.shaping)
        for rule in islice(plan.rules(), MOST)
    }
    rows = [
        f"{host:<16} -> {target:<16} {name:<10} {shaping}"
        for (host, target, name), shaping in pairs.items()
    ]
    more = f", the first {MOST} rules" if len(pairs) >= MOST else ""
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
