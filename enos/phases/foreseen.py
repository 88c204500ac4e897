"""The deployment an experiment comes to, before there are machines to ask.

`enos check` prints it, and `enos up` derives from it which images will be needed.
"""

from dataclasses import replace
from pathlib import Path

from enos import plugins
from enos.config.experiment import Experiment
from enos.kolla import deployment as kolla
from enos.kolla import releases
from enos.kolla.inventory import parse_multinode
from enos.kolla.nodes import Node
from enos.kolla.plan import Deployment, Installed, Place, Wish, plan_deployment
from enos.phases.planned import planned_testbed
from enos.toolenvs import ToolEnvironments

NOWHERE = "enos-check"
"""Session and folder of a deployment that is only looked at."""

CAPABLE = Node(
    limits=True, modules=True, sysctl=True, openvswitch=True, kvm=True, cpus=4
)
"""What is assumed of machines nobody has seen yet."""


def brought(experiment: Experiment, tools: ToolEnvironments) -> Installed:
    """Return what the release's kolla-ansible brings, with the user's inventory."""
    release = releases.release(experiment.release)
    installed = kolla.read_installed(tools.ensure(release.lock))
    if experiment.inventory is None:
        return installed
    text = experiment.inventory.read_text(encoding="utf-8")
    return replace(installed, groups=parse_multinode(text))


def foreseen(experiment: Experiment, tools: ToolEnvironments) -> Deployment:
    """Return the deployment on machines that can do everything.

    Raises ConfigError for what `plan_deployment` refuses, as far as the file tells.
    """
    kind, demand = plugins.provider(experiment.provider), experiment.demand
    settings = kind.Settings.model_validate(dict(experiment.settings))
    testbed = planned_testbed(
        experiment.provider,
        demand,
        without_external=kind.without_external(settings, demand),
    )
    return plan_deployment(
        Wish(
            session=NOWHERE,
            release=releases.release(experiment.release),
            virt=experiment.virt,
            fake_computes=experiment.fake_computes,
            profiled=experiment.osprofiler,
            kolla=experiment.kolla,
        ),
        testbed=testbed,
        nodes={host.name: CAPABLE for host in testbed.hosts},
        installed=brought(experiment, tools),
        place=Place(root=Path(NOWHERE), sockets=Path(NOWHERE)),
    )
