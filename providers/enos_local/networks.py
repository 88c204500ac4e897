"""The experiment's three networks: found again by their labels, or made."""

import json
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

from enos.errors import ProviderError
from enos.process import Shell
from enos_local import layout
from enos_local.layout import Wire

OVERLAPS = "overlap"


def ensure(shell: Shell, session: str, pool: IPv4Network) -> tuple[Wire, ...]:
    """Return the session's networks, creating those that are missing.

    Raises ProviderError when no /24 of the pool is free or Docker refuses.
    """
    networks = _all(shell)
    cidrs = {
        labels[layout.NETWORK]: _subnets(network)[0]
        for network in networks
        if (labels := network.get("Labels") or {}).get(layout.SESSION) == session
    }
    taken = [subnet for network in networks for subnet in _subnets(network)]
    free = layout.free_subnets(pool, [*taken, *_routes(shell)])
    for name in layout.NETWORKS:
        if name not in cidrs:
            cidrs[name] = _create(shell, session, name, free, pool)
    return layout.wires(session, cidrs)


def fill_in_checksums(shell: Shell, session: str, image: str) -> bool:
    """Make this machine's end of `external` send whole checksums; tell whether it does.

    Open vSwitch in user space passes frames on as they are: what leaves the bridge
    with a checksum that an offload was to fill in is thrown away by guests, so that
    they would answer ping and nothing else. A container of the node image does it,
    since enos need not be root here.
    """
    name = f"{session}-external"
    ask = ("docker", "network", "inspect", "--format", "{{.Id}}", name)
    bridge = f"br-{shell.run(ask).stdout.strip()[:12]}"
    run = ("docker", "run", "--rm", "--network", "host", "--cap-add", "NET_ADMIN")
    program = ("--entrypoint", "ethtool", image, "-K", bridge, "tx", "off")
    return shell.run((*run, *program), check=False).ok


def _create(
    shell: Shell,
    session: str,
    name: str,
    free: Iterator[IPv4Network],
    pool: IPv4Network,
) -> IPv4Network:
    for cidr in free:
        wire = Wire(name=name, docker_name=f"{session}-{name}", cidr=cidr)
        made = shell.run(layout.create_network(session, wire), check=False)
        if made.ok:
            return cidr
        if OVERLAPS not in made.stderr.lower():  # else somebody took it meanwhile
            message = f"Docker cannot make the network `{wire.docker_name}`"
            hint = "`docker network ls` shows what is there"
            raise ProviderError(message, hint=hint, details=made.stderr)
    message = f"no /24 network is free in {pool}"
    hint = "set `subnets` of the provider `local` to another range"
    raise ProviderError(message, hint=hint)


def _all(shell: Shell) -> list[dict[str, Any]]:
    ids = shell.run(["docker", "network", "ls", "--quiet", "--no-trunc"]).stdout.split()
    found = shell.run(["docker", "network", "inspect", *ids], check=False)
    # A network that went away meanwhile fails the command, the others are printed.
    networks: list[dict[str, Any]] = json.loads(found.stdout or "[]")
    return networks


def _subnets(network: dict[str, Any]) -> list[IPv4Network]:
    configs = (network.get("IPAM") or {}).get("Config") or []
    texts = [config["Subnet"] for config in configs if "." in config.get("Subnet", "")]
    return [IPv4Network(text) for text in texts]


def _routes(shell: Shell) -> list[IPv4Network]:
    done = shell.run(["ip", "-json", "-4", "route", "show", "table", "all"])
    routes = json.loads(done.stdout or "[]")
    texts = [str(route.get("dst", "")) for route in routes]
    return [IPv4Network(text, strict=False) for text in texts if text[:1].isdigit()]
