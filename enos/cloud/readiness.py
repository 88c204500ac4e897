"""Waiting until every compute host has the network agent that wires its guests.

    await_agents(cloud, progress)

kolla-ansible is done when containers run. An agent that asked neutron-server a moment
too early waits a minute for the answer, and a guest placed on its host meanwhile fails
to bind its port.
"""

from collections.abc import Iterable
from operator import not_

from enos.cloud.rest import Cloud, Record
from enos.cloud.waiting import until
from enos.errors import CloudError
from enos.progress import Progress

L2 = frozenset(
    {
        "Open vSwitch agent",
        "OVN Controller agent",
        "OVN Controller Gateway agent",
        "Linux bridge agent",
        "NIC Switch agent",
        "Macvtap agent",
    }
)
"""Neutron's `agent_type` of those that bind the ports of guests."""


def await_agents(cloud: Cloud, progress: Progress, *, seconds: float = 180) -> None:
    """Return when each compute host that is up has a living layer-2 agent.

    Raises CloudError naming the hosts still without one after `seconds`.
    """
    with progress.step("network agents") as step:

        def look() -> tuple[str, ...]:
            lacking = unwired(_computes(cloud), cloud.get("network", "/agents"))
            if lacking:
                step.awaiting(f"the network agent of {', '.join(lacking)}")
            return lacking

        lacking = until(look, seconds, done=not_)
        if lacking:
            raise CloudError(
                f"no living network agent on {', '.join(lacking)} after {seconds:g} s",
                hint="`enos logs neutron` shows what the agents do",
            )


def unwired(computes: Iterable[str], answer: Record) -> tuple[str, ...]:
    """Return the compute hosts without a living layer-2 agent, sorted.

    Args:
        computes: names of hosts.
        answer: of Neutron's `GET /v2.0/agents`.

    """
    wired = {
        agent["host"]
        for agent in answer["agents"]
        if agent["alive"] and agent["agent_type"] in L2
    }
    return tuple(sorted(set(computes) - wired))


def _computes(cloud: Cloud) -> tuple[str, ...]:
    answer = cloud.get("compute", "/os-services?binary=nova-compute")
    return tuple(
        service["host"] for service in answer["services"] if service["state"] == "up"
    )
