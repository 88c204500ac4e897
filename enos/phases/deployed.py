"""What the emulation of the network has to know of the OpenStack that is deployed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from enos import netem
from enos.ansible import inventory as ini
from enos.errors import EmulationError
from enos.kolla.tunnels import TUNNEL_BRIDGE
from enos.netem.act import global_addresses
from enos.phases.session import Session
from enos.remote import on_each, run_on
from enos.testbed import Host

FACT = "vips"
"""What `tc` remembers its VIPs as: address → host."""

NAMES = ("kolla_internal_vip_address", "kolla_external_vip_address")
SETTLING = 5
"""Seconds, at least, in which keepalived agrees on who has an address."""


def vips(session: Session) -> tuple[netem.Vip, ...]:
    """Return kolla's VIPs with the hosts that have them now.

    Until OpenStack is deployed, the first host with keepalived stands for the one that
    will. A VIP that no host has is left out, and that is told.

    Raises EmulationError when two hosts keep having the same.
    """
    wanted = _wanted(session)
    if not wanted:
        return ()
    balancers = _balancers(session)
    if not there(session):
        return tuple(netem.Vip(address=one, host=balancers[0].name) for one in wanted)
    holders = _holders(session, balancers, wanted)
    for address, several in holders.items():
        if not several:
            session.progress.warn(f"no host has the VIP {address}: it is not shaped")
        elif several[1:]:
            raise EmulationError(
                f"`{several[0]}` and `{several[1]}` both have the VIP `{address}`",
                hint="keepalived of one does not hear that of the other; `enos logs "
                "keepalived` shows why",
            )
    return tuple(
        netem.Vip(address=address, host=several[0])
        for address, several in holders.items()
        if several
    )


def vips_told(session: Session) -> tuple[netem.Vip, ...]:
    """Return the VIPs as the hosts were last shaped for them, else as they are now."""
    record = session.directory.load().phases.get("tc")
    if record is None or record.status != "done" or FACT not in record.facts:
        return vips(session)
    told = record.facts[FACT]
    return tuple(netem.Vip(address=one, host=host) for one, host in told.items())


def there(session: Session) -> bool:
    """Tell whether OpenStack is there, if only in part."""
    return "os" in session.directory.load().phases


def bypassed(session: Session) -> frozenset[str]:
    """Return the networks whose tunnels Open vSwitch takes from the interface itself.

    Its datapath in user space does so with what is for its bridge `br-phy`; on hosts
    with a bridge of the kernel before it, that bridge is called otherwise.
    """
    if f"tunnel_interface={TUNNEL_BRIDGE} " not in _inventory(session):
        return frozenset()
    networks = session.testbed.networks
    return frozenset(network.name for network in networks if "tunnel" in network.roles)


def require_unmoved(
    before: netem.EmulationPlan, now: netem.EmulationPlan, several: Sequence[netem.Vip]
) -> None:
    """Raise EmulationError when the links to a VIP are to be others than they are.

    Args:
        before: what the hosts were told.
        now: the same for the hosts that have the VIPs at present.
        several: the VIPs of both.

    """
    for address in dict.fromkeys(vip.address for vip in several):
        if _links(before, address) != _links(now, address):
            raise EmulationError(
                f"the VIP `{address}` has moved since the network was shaped, to where "
                "other links lead",
                hint="run `enos tc` again",
            )


def _links(plan: netem.EmulationPlan, address: str) -> frozenset[Any]:
    """Return what is asked of all that is sent to an address, and who shares a rate."""
    return frozenset(
        (rule.host, rule.device, rule.shaping, rule.target if rule.shaping.rate else "")
        for rule in plan.rules()
        if rule.destination == address
    )


def _settings(session: Session) -> Mapping[str, Any]:
    file = session.directory.kolla / "globals.yml"
    if not file.exists():
        return {}
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {}


def _inventory(session: Session) -> str:
    file = session.directory.kolla / "inventory"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _wanted(session: Session) -> tuple[str, ...]:
    """Return the VIPs of `globals.yml`: addresses that no host has as its own."""
    chosen = _settings(session)
    own = {
        address.partition("/")[0]
        for host in session.testbed.hosts
        for nic in host.nics
        for address in nic.addresses
    }
    return tuple(sorted({str(chosen[name]) for name in NAMES if name in chosen} - own))


def _balancers(session: Session) -> tuple[Host, ...]:
    """Return the hosts with keepalived: kolla's group `loadbalancer`."""
    testbed = session.testbed
    groups = ini.parse(_inventory(session))
    found = tuple(filter(None, map(testbed.host, groups.members("loadbalancer"))))
    return found or testbed.with_role("control")


def _holders(
    session: Session, balancers: Sequence[Host], wanted: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return address → hosts that have it, as soon as that is one for each."""
    for left in reversed(range(SETTLING)):
        there = on_each(balancers, lambda host: frozenset(_addresses(session, host)))
        holders = {
            address: tuple(host for host, own in there.items() if address in own)
            for address in wanted
        }
        if all(len(several) == 1 for several in holders.values()) or not left:
            return holders
        time.sleep(1)
    return {}


def _addresses(session: Session, host: Host) -> Iterator[str]:
    """Yield the addresses of a host; none of one that cannot be reached."""
    sockets = session.directory.sockets
    words = ("ip", "-j", "address")
    yield from global_addresses(
        run_on(session.shell, host, words, check=False, sockets=sockets).stdout
    )
