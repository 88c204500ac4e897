"""Delay, loss and the rest by netfilter queues and a small daemon. Pure.

Packets are held where they arrive (raw PREROUTING), not where they leave: packets
held at the sender still count against its socket's send buffer, which throttles TCP.
The source address says which queue. What is in no queue pays one ipset lookup.

In the table `raw`, they have not met connection tracking yet. Behind it, each packet
of a flow that came during the first one's delay would have a connection of its own, all
but one of which the kernel drops (ICMP).

See iptables-extensions(8) for NFQUEUE and set, ipset(8).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from enos.netem.plan import Interface
from enos.netem.shaping import UNIFORM, Shaping
from enos.units import GilbertElliott

FIRST_QUEUE = 57424
CHAIN = "ENOS-NETEM"
SET_PREFIX = "enos-"
FAMILIES = {4: "inet", 6: "inet6"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A netfilter queue of a host: one class of shaping and the sources it is for.

    Attributes:
        shaping: without rate, which is the sender's business.

    """

    number: int
    shaping: Shaping
    sources: tuple[str, ...]

    def sources_of(self, version: int) -> tuple[str, ...]:
        """Return its IPv4 (4) or IPv6 (6) sources."""
        return tuple(one for one in self.sources if (":" in one) == (version == 6))  # noqa: PLR2004

    def set_name(self, version: int) -> str:
        """Return the name of the ipset that holds its sources."""
        return f"{SET_PREFIX}{self.number}-{version}"


def queues(interfaces: Sequence[Interface]) -> tuple[Queue, ...]:
    """Return the queues of a host, one for each shaping that delays or loses."""
    sources: dict[Shaping, list[str]] = {}
    for interface in interfaces:
        for flow in interface.incoming:
            if flow.shaping.disturbs:
                members = sources.setdefault(replace(flow.shaping, rate=None), [])
                members += [one for peer in flow.peers for one in peer.addresses]
    return tuple(
        Queue(number=number, shaping=shaping, sources=tuple(dict.fromkeys(members)))
        for number, (shaping, members) in enumerate(sources.items(), FIRST_QUEUE)
    )


def lanes(several: Sequence[Queue]) -> str:
    """Return the daemon's file of classes (`enos/netem/delayd.py` says what is in it).

    >>> from enos.units import Duration
    >>> shaping = Shaping(delay=Duration(ms=2))
    >>> print(lanes([Queue(number=7, shaping=shaping, sources=())]))
    [{"queue": 7, "delay_us": 2000}]
    """
    return json.dumps([{"queue": q.number, **_figures(q.shaping)} for q in several])


def _figures(shaping: Shaping) -> dict[str, Any]:
    """Return what is asked of a lane, in microseconds and shares of 1."""
    losses = shaping.losses
    figures: dict[str, Any] = {
        "delay_us": shaping.delay.ms * 1000,
        "jitter_us": shaping.jitter.ms * 1000,
    }
    shares = {
        "delay_correlation": shaping.delay_correlation,
        "duplicate": shaping.duplicate,
        "reorder": shaping.reorder,
        "reorder_correlation": shaping.reorder_correlation,
        "corrupt": shaping.corrupt,
    }
    figures |= {name: share.value / 100 for name, share in shares.items()}
    if isinstance(losses, GilbertElliott):
        model = (losses.p, losses.back, losses.bad, losses.good)
        figures["gemodel"] = [share.value / 100 for share in model]
    else:
        figures["loss"] = losses.value / 100
    if shaping.distribution != UNIFORM:
        figures["distribution"] = shaping.distribution
    figures["limit"] = shaping.room
    return {name: value for name, value in figures.items() if value}


def ipset_lines(several: Sequence[Queue]) -> str:
    """Return the input of ``ipset restore`` that makes the sets of sources."""
    lines = []
    for version, family in FAMILIES.items():
        everyone = f"{SET_PREFIX}all-{version}"
        members = [(q.set_name(version), q.sources_of(version)) for q in several]
        if not any(sources for _, sources in members):
            continue
        names = (everyone, *(name for name, sources in members if sources))
        lines += [f"create {name} hash:ip family {family}" for name in names]
        for name, sources in members:
            for source in sources:
                lines += [f"add {name} {source}", f"add {everyone} {source}"]
    return "".join(line + "\n" for line in lines)


def iptables_lines(
    several: Sequence[Queue], version: int, *, spared_ports: Sequence[int] = ()
) -> str:
    """Return the input of ``iptables-restore --noflush``, "" when there is nothing.

    `--queue-bypass` keeps traffic flowing when the daemon is gone; that it is there is
    for the test to see.
    """
    used = [queue for queue in several if queue.sources_of(version)]
    if not used:
        return ""
    lines = ["*raw", f":{CHAIN} - [0:0]", f"-A {CHAIN} -i {PASSED} -j RETURN"]
    if any(queue.shaping.duplicate.value for queue in used):
        lines.append(f"-A {CHAIN} -i lo -j RETURN")  # copies the daemon sends
    for port in spared_ports:
        lines += [f"-A {CHAIN} -p tcp --{end} {port} -j RETURN" for end in _ENDS]
    for queue in used:
        lines.append(
            f"-A {CHAIN} -m set --match-set {queue.set_name(version)} src "
            f"-j NFQUEUE --queue-num {queue.number} --queue-bypass"
        )
    lines.append(
        f"-I PREROUTING -m set --match-set {SET_PREFIX}all-{version} src -j {CHAIN}"
    )
    return "\n".join([*lines, "COMMIT"]) + "\n"


_ENDS = ("sport", "dport")
PASSED = "br-wired"
"""Device whose packets have met these rules already, on the bridge before it: that of
tunnels where Open vSwitch runs in user space. Most hosts have none of that name."""
