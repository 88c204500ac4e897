"""Which interface is on which network, remembered across runs of enos.

Neutron's external interface loses its addresses to the deployment, and with them what
it was recognised by. So what was seen is kept in the experiment's directory: the
interface stays on its network, and `release` can give the addresses back.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from enos.testbed import Host, Network, Nic, Testbed, from_json, to_json

NAME = "machines.json"
EXTERNAL = "neutron_external_interface"
RESTORE = """\
device=$1
shift
ip link show dev "$device" >/dev/null 2>&1 ||
    { echo "no interface $device" >&2; exit 1; }
for address; do
    ip -o address show dev "$device" | grep -qF " $address " && continue
    ip link set "$device" up && ip address add "$address" dev "$device" || exit 1
    echo "$address"
done
"""
"""For sh(1): an interface and the addresses it is to have; prints those it lacked.

ip-address(8). What is there is not touched, lest a lease of DHCP becomes permanent.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What gives an interface of a host the addresses back it had, run as root."""

    host: Host
    device: str
    addresses: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """The command, harmless when the addresses are there."""
        return ("sh", "-c", RESTORE, "sh", self.device, *self.addresses)


def read(folder: Path) -> Testbed | None:
    """Return the machines as they were remembered, None at the first run."""
    file = folder / NAME
    if not file.exists():
        return None
    return from_json(json.loads(file.read_text(encoding="utf-8")))


def write(folder: Path, testbed: Testbed) -> None:
    """Remember the machines; whole or not at all."""
    draft = folder / f".{NAME}.{os.getpid()}"
    with draft.open("w", encoding="utf-8") as target:
        json.dump(to_json(testbed), target, indent=2)
        target.flush()
        os.fsync(target.fileno())
    draft.replace(folder / NAME)


def forget(folder: Path) -> None:
    """Remember nothing any more."""
    (folder / NAME).unlink(missing_ok=True)


def carried(host: Host, before: Testbed | None, networks: Iterable[Network]) -> Host:
    """Return the host with the networks its interfaces were on before.

    An interface counts as the one seen before when device and MAC are the same, since
    a bridge takes the MAC of its port. It stays on its network as long as it has no
    IPv4 address; an address of that network elsewhere is then the bridge's, and counts
    as the interface's.
    """
    names = {network.name for network in networks}
    known = _known(host, before)
    kept = {
        nic.device: known[_same(nic)].network
        for nic in host.nics
        if _same(nic) in known
        and known[_same(nic)].network in names
        and not _numbered(nic)
    }
    moved = {
        network: tuple(
            address
            for nic in host.nics
            if nic.network == network and nic.device not in kept
            for address in nic.addresses
        )
        for network in kept.values()
    }
    return replace(host, nics=tuple(_placed(nic, kept, moved) for nic in host.nics))


def together(testbed: Testbed, before: Testbed | None) -> Testbed:
    """Return what is to be remembered: what is seen now, with the addresses of once."""
    hosts = tuple(
        replace(host, nics=tuple(_as_once(nic, known) for nic in host.nics))
        for host in testbed.hosts
        for known in (_known(host, before),)
    )
    return replace(testbed, hosts=hosts)


def restorations(testbed: Testbed) -> tuple[Restoration, ...]:
    """Return what gives the interfaces that Neutron took over their addresses back.

    Those of tunnels too, which Open vSwitch takes over where it runs in user space.
    """
    taken = {
        network.name
        for network in testbed.networks
        if {"external", "tunnel"} & set(network.roles) and "api" not in network.roles
    }
    return tuple(
        Restoration(host=host, device=nic.device, addresses=nic.addresses)
        for host in testbed.hosts
        for nic in host.nics
        if nic.addresses
        and (nic.network in taken or nic.device == host.extra.get(EXTERNAL))
    )


def _known(host: Host, before: Testbed | None) -> Mapping[tuple[str, str], Nic]:
    there = before.host(host.name) if before else None
    return {_same(nic): nic for nic in there.nics if nic.mac} if there else {}


def _same(nic: Nic) -> tuple[str, str]:
    return nic.device, nic.mac


def _numbered(nic: Nic) -> bool:
    return any(":" not in address for address in nic.addresses)


def _as_once(nic: Nic, known: Mapping[tuple[str, str], Nic]) -> Nic:
    if _numbered(nic) or _same(nic) not in known:
        return nic
    return replace(nic, addresses=known[_same(nic)].addresses)


def _placed(
    nic: Nic, kept: Mapping[str, str], moved: Mapping[str, tuple[str, ...]]
) -> Nic:
    if nic.device in kept:
        network = kept[nic.device]
        addresses = (*moved[network], *nic.addresses)
        return replace(nic, network=network, addresses=addresses)
    if nic.network in moved:
        return replace(nic, network="", addresses=())
    return nic
