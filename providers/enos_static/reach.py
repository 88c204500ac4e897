"""Reaching machines one was given: what SSH said, in the user's terms."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, IPv4Network, ip_interface
from typing import Any

from enos.process import Completed
from enos.testbed import Host, Network, Nic

SSH_FAILED = 255  # ssh(1): "exits with 255 if an error occurred"
NOT_FOUND = 127  # sh(1p): command not found
# What OpenSSH and sudo print → what it means. Looked for in this order.
MEANINGS = (
    ("Too many authentication failures", "the agent offers too many keys"),
    ("error in libcrypto", "the key file is damaged"),
    ("invalid format", "the key file is damaged"),
    ("UNPROTECTED PRIVATE KEY", "others may read the key file"),
    ("bad permissions", "others may read the key file"),
    ("Permission denied (", "it refuses the key"),
    ("incorrect passphrase", "the key file needs a passphrase: use ssh-agent"),
    ("Could not resolve hostname", "the name does not resolve"),
    ("Name or service not known", "the name does not resolve"),
    ("Connection refused", "nothing listens on the port"),
    ("No route to host", "there is no route to it"),
    ("Network is unreachable", "there is no route to it"),
    ("timed out", "it does not answer"),
    ("Connection closed", "it closes the connection"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a machine cannot be used."""

    host: str
    place: str
    why: str

    def __str__(self) -> str:
        """Return the line the user reads."""
        return f"{self.host} ({self.place}): {self.why}"


def trouble(host: Host, done: Completed) -> Trouble | None:
    """Return what kept a command from running as root on a host, None if nothing."""
    if done.ok:
        return None
    place = f"{host.user}@{host.address}:{host.port}"
    place += f" via {host.jump}" if host.jump else ""
    return Trouble(host=host.name, place=place, why=_why(host, done))


def key_trouble(host: Host) -> Trouble | None:
    """Return what is wrong with the key file on this side, None if nothing."""
    if host.key is None or host.key.is_file():
        return None
    place = f"{host.user}@{host.address}:{host.port}"
    return Trouble(host=host.name, place=place, why=f"no key file `{host.key}`")


def _why(host: Host, done: Completed) -> str:
    said = done.stderr.strip()
    last = said.splitlines()[-1] if said else f"status {done.returncode}"
    if done.returncode != SSH_FAILED:
        if "sudo" in said:
            return f"`{host.user}` may not use sudo without a password"
        if done.returncode == NOT_FOUND:
            return "the program `ip` (iproute2) is missing"
        return last
    for printed, meaning in MEANINGS:
        if printed in said:
            with_key = f" `{host.key}`" if host.key and "key" in meaning else ""
            return meaning + with_key
    return last


def interfaces(ip_json: str, networks: Iterable[Network]) -> tuple[Nic, ...]:
    """Return a host's interfaces, each with the network its IPv4 address is in.

    IPv4 addresses come first, then the IPv6 ones that others can reach: link-local ones
    and those another host had already (RFC 4862, 5.4) are left out.

    Args:
        ip_json: output of ``ip -j addr`` (ip-address(8)).
        networks: networks to look for.

    """
    known = tuple(networks)
    return tuple(_nic(link, known) for link in json.loads(ip_json) if _wanted(link))


def _wanted(link: dict[str, Any]) -> bool:
    return link.get("link_type") != "loopback" and link.get("ifname", "") != ""


def _nic(link: dict[str, Any], networks: tuple[Network, ...]) -> Nic:
    addresses = tuple(
        f"{info['local']}/{info['prefixlen']}"
        for family in ("inet", "inet6")
        for info in link.get("addr_info", ())
        if info.get("family") == family and _reachable(info)
    )
    return Nic(
        device=str(link["ifname"]),
        network=_network_of(addresses, networks),
        addresses=addresses,
        mac=str(link.get("address", "")).lower(),
    )


def _reachable(info: dict[str, Any]) -> bool:
    if info["family"] == "inet":
        return True
    return not ip_interface(info["local"]).is_link_local and not info.get("dadfailed")


def _network_of(addresses: tuple[str, ...], networks: tuple[Network, ...]) -> str:
    for network in networks:
        cidr = IPv4Network(network.cidr)
        if any(ip_interface(address).ip in cidr for address in addresses):
            return network.name
    return ""


def own_network(hosts: Iterable[Host]) -> Network | None:
    """Return the subnet all hosts have the interface on that SSH connects to.

    None when there is no such subnet: the address is behind a translation, or
    differs from host to host.
    """
    cidrs = {_cidr_of(host) for host in hosts}
    if len(cidrs) != 1 or "" in cidrs:
        return None
    return Network(name="api", cidr=cidrs.pop(), roles=("api",))


def _cidr_of(host: Host) -> str:
    for nic in host.nics:
        for address in nic.addresses:
            if address.partition("/")[0] == host.address and ":" not in address:
                return str(IPv4Interface(address).network)
    return ""


def on_network(host: Host, network: Network) -> Host:
    """Return the host with the network named on the interface that is on it."""
    nics = (
        replace(nic, network=_network_of(nic.addresses, (network,)) or nic.network)
        for nic in host.nics
    )
    return replace(host, nics=tuple(nics))
