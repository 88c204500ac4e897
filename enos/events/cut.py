"""Who cannot reach whom in a partition, and the nftables rules that see to it. Pure.

All addresses a host has on the networks of the experiment count, VIPs included. Packets
are dropped where they arrive and where they leave, by a table of enos's own that comes
and goes in one transaction. Where the kernel can (netfilter's egress hook, Linux 5.16),
they are also dropped on their way out of the interface, since those of a switch in user
space never pass the IP layer.

See nft(8).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.netem import Interface, Vip, plan_emulation
from enos.testbed import Testbed
from enos.units import Percent

TABLE = "enos_events"
FAMILIES = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}
FIRST = -310  # before NF_IP_PRI_RAW, where packets may be queued to be delayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a host is cut off from.

    Attributes:
        addresses: of the hosts on the other side.
        devices: interfaces to drop at besides, where the kernel can; else empty.
        spared_ports: TCP ports left alone because enos's own SSH may use them.

    """

    addresses: tuple[str, ...]
    devices: tuple[str, ...] = ()
    spared_ports: tuple[int, ...] = ()

    @property
    def ruleset(self) -> str:
        """Return the input of ``nft -f`` that puts this in place of any earlier cut."""
        lines = [absence(), f"table inet {TABLE} {{", *self._sets()]
        for name, hook, end in (
            ("arriving", "prerouting", "saddr"),
            ("leaving", "output", "daddr"),
        ):
            lines += self._chain(name, f"hook {hook} priority {FIRST};", end)
        lines.append("}")
        if self.devices:
            lines += [f"table netdev {TABLE} {{", *self._sets()]
            for number, device in enumerate(self.devices):
                hook = f'hook egress device "{device}" priority 0;'
                lines += self._chain(f"leaving{number}", hook, "daddr")
            lines.append("}")
        return "\n".join(lines) + "\n"

    def _of(self, version: int) -> tuple[str, ...]:
        return tuple(one for one in self.addresses if (":" in one) == (version == 6))  # noqa: PLR2004

    def _sets(self) -> list[str]:
        return [
            f"  set peers{version} {{ type {kind}; elements = "
            f"{{ {', '.join(self._of(version))} }}; }}"
            for version, (_, kind) in FAMILIES.items()
            if self._of(version)
        ]

    def _chain(self, name: str, hook: str, end: str) -> list[str]:
        ports = ", ".join(map(str, self.spared_ports))
        spared = [f"tcp {side} {{ {ports} }} accept" for side in ("sport", "dport")]
        drops = [
            f"{family} {end} @peers{version} drop"
            for version, (family, _) in FAMILIES.items()
            if self._of(version)
        ]
        rules = [*(spared if ports else ()), *drops]
        return [
            f"  chain {name} {{",
            f"    type filter {hook}",
            *(f"    {rule}" for rule in rules),
            "  }",
        ]


def absence() -> str:
    """Return the lines for nft that remove the tables, be they there or not."""
    families = ("inet", "netdev")
    return "\n".join(
        f"table {family} {TABLE} {{ }}\ndelete table {family} {TABLE}"
        for family in families
    )


def cuts(
    pairs: Sequence[tuple[str, str]],
    testbed: Testbed,
    *,
    vips: Sequence[Vip] = (),
    controller: Sequence[str] = (),
    egress: frozenset[str] = frozenset(),
) -> dict[str, Cut]:
    """Return host name → what it is cut off from, for those cut off at all.

    Args:
        pairs: groups or roles that cannot reach one another.
        testbed: the hosts.
        vips: as in `plan_emulation`.
        controller: as in `plan_emulation`.
        egress: names of the hosts whose kernel can drop at an interface.

    Raises:
        EmulationError: no host is called so, or the two share no network.

    """
    lost = tuple(
        ConstraintSpec(src=one, dst=other, loss=Percent(100), symmetric=True)
        for one, other in pairs
    )
    plan = plan_emulation(
        NetworkConstraints(constraints=lost),
        testbed,
        vips=vips,
        controller=controller,
    )
    found: dict[str, Cut] = {}
    for host in plan.hosts:
        interfaces = plan.of(host)
        devices = dict.fromkeys(interface.device for interface in interfaces)
        found[host] = Cut(
            addresses=tuple(dict.fromkeys(_addresses(interfaces))),
            devices=tuple(devices) if host in egress else (),
            spared_ports=plan.spared_ports,
        )
    return found


def _addresses(interfaces: Sequence[Interface]) -> Iterator[str]:
    """Yield the addresses of those that packets leave to."""
    for interface in interfaces:
        for flow in interface.outgoing:
            for peer in flow.peers:
                yield from peer.addresses
