"""Waiting until compute hosts take guests, and have the network agent that wires them.

    await_computes(cloud, progress)
    await_agents(cloud, progress)

kolla-ansible is done when containers run. A nova-compute whose libvirt was restarted
has disabled itself until it notices. An agent that asked neutron-server a moment too
early waits a minute for the answer, and a guest placed on its host meanwhile fails to
bind its port.
"""

from collections.abc import Iterable, Mapping
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

BY_ITSELF = "AUTO: "
"""How `disabled_reason` begins when nova-compute disabled itself: DISABLE_PREFIX of
nova/virt/libvirt/driver.py. What somebody else disabled stays so."""


def await_computes(cloud: Cloud, progress: Progress, *, seconds: float = 180) -> None:
    """Return when no compute host that is up has disabled itself.

    Raises CloudError naming those that still have after `seconds`, and why.
    """
    with progress.step("compute hosts") as step:

        def look() -> Mapping[str, str]:
            idle = {
                service["host"]: service["disabled_reason"].removeprefix(BY_ITSELF)
                for service in _computes(cloud)
                if (service.get("disabled_reason") or "").startswith(BY_ITSELF)
            }
            if idle:
                step.awaiting(f"nova-compute of {', '.join(sorted(idle))}")
            return idle

        idle = until(look, seconds, done=not_)
        if idle:
            host, why = min(idle.items())
            raise CloudError(
                f"nova-compute of {', '.join(sorted(idle))} takes no guests after "
                f"{seconds:g} s; {host}: {why}",
                hint="`enos logs nova-compute` and `enos logs libvirt` say more",
            )


def await_agents(cloud: Cloud, progress: Progress, *, seconds: float = 180) -> None:
    """Return when each compute host that is up has a living layer-2 agent.

    Raises CloudError naming the hosts still without one after `seconds`.
    """
    with progress.step("network agents") as step:

        def look() -> tuple[str, ...]:
            computes = (service["host"] for service in _computes(cloud))
            lacking = unwired(computes, cloud.get("network", "/agents"))
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


def _computes(cloud: Cloud) -> tuple[Record, ...]:
    answer = cloud.get("compute", "/os-services?binary=nova-compute")
    return tuple(one for one in answer["services"] if one["state"] == "up")
