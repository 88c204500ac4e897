"""What a back end will not do as the plan asks, told before and kept after. Pure."""

from collections.abc import Callable, Collection, Mapping

from enos.netem.commands import Backend
from enos.netem.plan import EmulationPlan
from enos.netem.shaping import Shaping


def shortcomings(
    plan: EmulationPlan, backend: Backend, *, bypassed: Collection[str] = ()
) -> tuple[str, ...]:
    """Return what a back end will not do as the plan asks, a sentence each.

    Args:
        plan: what is, or will be, applied.
        backend: what applies it.
        bypassed: networks whose tunnels a switch in user space takes from the
            interface, so that they never meet the queues of the user-space back end.

    """
    asked = {
        (interface.network, flow.shaping)
        for interface in plan.interfaces
        for flow in interface.outgoing
    }
    if backend is Backend.NETEM:
        return tuple(
            what
            for what, is_so in _NETEM.items()
            if any(is_so(one) for _, one in asked)
        )
    passing = {on for on, one in asked if on in bypassed and one.disturbs}
    return tuple(
        f"guests on different hosts get the rate alone of what is asked on "
        f"`{network}`: Open vSwitch in user space takes their tunnels from the "
        "interface, before the queues that delay and lose"
        for network in sorted(passing)
    )


def _correlates(one: Shaping) -> bool:
    # tabledist of sch_netem.c takes the correlated number modulo twice the jitter in
    # nanoseconds, or modulo the size of the table: nothing is left of a correlation.
    return bool(one.delay_correlation.value)


def _draws_shares(one: Shaping) -> bool:
    # netem_enqueue of sch_netem.c draws once for a packet of generic segmentation
    # offload, which is split behind the queueing discipline; only one with a bit to
    # turn is split there.
    return any(share.value for share in (one.loss, one.duplicate, one.reorder))


_NETEM: Mapping[str, Callable[[Shaping], bool]] = {
    "sch_netem draws delays independently: no `delay_correlation` will show": (
        _correlates
    ),
    "sch_netem draws loss, copies and overtaking once for what offloads hand over at "
    "once, up to 64 KiB of TCP, not for each packet on the wire": _draws_shares,
}
