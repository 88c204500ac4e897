"""The plan of an emulated network: values only, made by `enos.netem.planner`.

A plan for a thousand hosts has a million rules; it is kept as flows, which name the
hosts of a group once, and unfolds when somebody looks (`EmulationPlan.rules`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from enos.netem.shaping import Shaping


@dataclass(frozen=True, slots=True, kw_only=True)
class Vip:
    """An address that no interface lists, and the host that answers for it."""

    address: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A host as seen on one network.

    Attributes:
        addresses: all it answers for on that network, VIPs last, without prefix.

    """

    host: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One direction between an interface and the hosts of a group, alike for all.

    Attributes:
        peers: the hosts at the other end.
        asked: the constraint it follows, ``grp1 > grp2``, or ``default``.
        priority: 0 for an override, 1 for a constraint, 2 for the defaults; the
            smaller number won.

    """

    peers: tuple[Peer, ...]
    shaping: Shaping
    asked: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface of a host with all that enters and leaves it.

    Attributes:
        outgoing: flows towards peers, no two of which share an address.
        incoming: the same from peers; the mirror image of their `outgoing`.

    """

    host: str
    device: str
    network: str
    outgoing: tuple[Flow, ...]
    incoming: tuple[Flow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What happens to packets that leave an interface for one address."""

    host: str
    device: str
    network: str
    destination: str
    target: str
    shaping: Shaping
    asked: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulationPlan:
    """Everything to apply, in testbed order; empty when nothing is to be shaped.

    Attributes:
        spared_ports: TCP ports left unshaped because enos's own SSH connections run
            over the shaped interfaces; empty where they do not.
        alike: names of all hosts, those together that no constraint tells apart:
            whatever is asked of one of them is asked of the others.

    """

    interfaces: tuple[Interface, ...]
    spared_ports: tuple[int, ...] = ()
    alike: tuple[tuple[str, ...], ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the hosts with at least one flow, in testbed order."""
        return tuple(dict.fromkeys(interface.host for interface in self.interfaces))

    def of(self, host: str) -> tuple[Interface, ...]:
        """Return the interfaces of a host."""
        return tuple(one for one in self.interfaces if one.host == host)

    def rules(self) -> Iterator[Rule]:
        """Yield one rule per (host, interface, destination address), stable order."""
        for interface in self.interfaces:
            for flow in interface.outgoing:
                yield from _unfold(interface, flow)


def _unfold(interface: Interface, flow: Flow) -> Iterator[Rule]:
    for peer in flow.peers:
        for address in peer.addresses:
            yield Rule(
                host=interface.host,
                device=interface.device,
                network=interface.network,
                destination=address,
                target=peer.host,
                shaping=flow.shaping,
                asked=flow.asked,
                priority=flow.priority,
            )
