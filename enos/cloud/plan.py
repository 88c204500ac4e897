"""What a fresh OpenStack gets from `enos init`, planned from the testbed. Pure.

    plan_cloud(testbed, images, public_key=…, reserved=…) -> CloudPlan
    lines(plan) -> tuple[str, ...]                          for `--dry-run`

The names are those of upstream enos and of most OpenStack tutorials: flavors `m1.*`,
networks `public` and `private`, `router`, key pair `enos`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import pairwise
from typing import TypeAlias

from enos.cloud.guest import GuestImage
from enos.errors import CloudError
from enos.testbed import Network, Testbed

PUBLIC, PRIVATE, ROUTER, KEYPAIR = "public", "private", "router", "enos"
PHYSICAL_NETWORK = "physnet1"
FLAVORS = {
    "m1.nano": (128, 1, 1),
    "m1.tiny": (512, 1, 1),
    "m1.small": (2048, 1, 20),
    "m1.medium": (4096, 2, 40),
    "m1.large": (8192, 4, 80),
    "m1.xlarge": (16384, 8, 160),
}
"""Name → memory in MiB, virtual CPUs, disk in GiB."""

UNLIMITED = {
    "compute": ("cores", "instances", "ram", "key_pairs", "server_groups"),
    "network": (
        *("floatingip", "network", "port", "router", "subnet"),
        *("security_group", "security_group_rule"),
    ),
}
"""Service → quotas of the admin project that are lifted."""


class Kind(StrEnum):
    """A kind of thing the cloud holds, by its name in the APIs."""

    FLAVOR = "flavor"
    KEYPAIR = "keypair"
    NETWORK = "network"
    SUBNET = "subnet"
    ROUTER = "router"
    RULE = "security_group_rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Stands for the id of something else of the plan."""

    kind: Kind
    name: str


Value: TypeAlias = (
    str | int | bool | Reference | Sequence["Value"] | Mapping[str, "Value"] | None
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One thing the cloud is to hold.

    Attributes:
        name: by which an existing one is recognised; a rule has none and is
            recognised by its fields.
        fields: as the API's documentation names them.
        mutable: fields brought in line on an existing one.

    """

    kind: Kind
    name: str
    fields: Mapping[str, Value]
    mutable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudPlan:
    """All that `init` makes.

    Attributes:
        things: in an order in which each refers to earlier ones only.
        router_subnets: names of the subnets that get an interface on `router`.
        rules: opened in the project's own default security group.
        unlimited: service → quotas of the admin project without a limit.
        notes: decisions to tell the user.

    """

    things: tuple[Wanted, ...]
    images: tuple[GuestImage, ...]
    router_subnets: tuple[str, ...]
    rules: tuple[Wanted, ...]
    unlimited: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def plan_cloud(
    testbed: Testbed,
    images: tuple[GuestImage, ...],
    *,
    public_key: str = "",
    reserved: tuple[str, ...] = (),
) -> CloudPlan:
    """Return what the cloud on a testbed is to hold.

    Args:
        testbed: its network of role `external` becomes `public`; without one there
            are no floating addresses.
        images: in the order of upload; the first is what `smoke` boots.
        public_key: OpenSSH public key of the key pair `enos`, empty for none.
        reserved: addresses of the external network's pool already in use (VIPs).

    Raises:
        CloudError: the external network leaves no address for floating IPs.

    """
    external = testbed.network("external")
    note = "no external network: guests get no floating addresses"
    return CloudPlan(
        things=(
            *(flavor(name) for name in FLAVORS),
            *(_public(external, reserved) if external else ()),
            *_private(testbed),
            _router(external),
            *(_keypair(public_key) if public_key else ()),
        ),
        images=images,
        router_subnets=(PRIVATE,),
        rules=tuple(_rule(protocol) for protocol in ("icmp", "tcp", "udp")),
        unlimited=UNLIMITED,
        notes=() if external else (note,),
    )


def lines(plan: CloudPlan) -> tuple[str, ...]:
    """Return the plan, a line for each thing."""
    shown = [
        f"{thing.kind} `{thing.name}`: {_shown(thing.fields)}" for thing in plan.things
    ]
    shown += [f"image `{image.name}`: {image.disk_format}" for image in plan.images]
    shown += [
        f"router `{ROUTER}`: interface on `{name}`" for name in plan.router_subnets
    ]
    shown += [
        f"security group `default`: {rule.fields['protocol']} in" for rule in plan.rules
    ]
    shown += [
        f"{service} quotas without limit: {', '.join(names)}"
        for service, names in plan.unlimited.items()
    ]
    return (*shown, *plan.notes)


def flavor(name: str) -> Wanted:
    """Return one of FLAVORS."""
    ram, vcpus, disk = FLAVORS[name]
    fields: dict[str, Value] = {"name": name, "ram": ram, "vcpus": vcpus, "disk": disk}
    return Wanted(kind=Kind.FLAVOR, name=name, fields=fields)


def allocation_pools(
    pool: tuple[str, str], reserved: Sequence[str] = ()
) -> tuple[dict[str, str], ...]:
    """Return a pool without the reserved addresses, as Neutron writes pools.

    >>> allocation_pools(("10.0.0.10", "10.0.0.20"), ["10.0.0.10"])
    ({'start': '10.0.0.11', 'end': '10.0.0.20'},)
    """
    start, end = (int(IPv4Address(address)) for address in pool)
    taken = sorted(
        {number for one in reserved if start <= (number := int(ip_address(one))) <= end}
    )
    edges = [start - 1, *taken, end + 1]
    free = [(a + 1, b - 1) for a, b in pairwise(edges) if a + 1 < b]
    return tuple(
        {"start": str(IPv4Address(a)), "end": str(IPv4Address(b))} for a, b in free
    )


def private_cidr(taken: Sequence[str]) -> str:
    """Return the first of 10.0.0.0/24, 10.1.0.0/24, … that overlaps none of the taken.

    >>> private_cidr(["192.168.0.0/16"]), private_cidr(["10.0.0.0/20"])
    ('10.0.0.0/24', '10.1.0.0/24')
    """
    used = [ip_network(cidr, strict=False) for cidr in taken]
    candidates = (ip_network(f"10.{number}.0.0/24") for number in range(256))
    free = (net for net in candidates if not any(net.overlaps(other) for other in used))
    return str(next(free, ip_network("192.168.0.0/24")))


def _public(network: Network, reserved: tuple[str, ...]) -> tuple[Wanted, ...]:
    pools = allocation_pools(network.pool, reserved) if network.pool else ()
    if not pools:
        raise CloudError(
            f"network `{network.name}` leaves no address for floating IPs",
            hint="give it a range of free addresses, in the provider's settings",
        )
    fields: dict[str, Value] = {
        "name": PUBLIC,
        "router:external": True,
        "provider:network_type": "flat",
        "provider:physical_network": PHYSICAL_NETWORK,
    }
    subnet: dict[str, Value] = {
        "name": PUBLIC,
        "network_id": Reference(kind=Kind.NETWORK, name=PUBLIC),
        "ip_version": 4,
        "cidr": network.cidr,
        "enable_dhcp": False,
        "gateway_ip": network.gateway or None,
        "allocation_pools": pools,
    }
    return (
        Wanted(kind=Kind.NETWORK, name=PUBLIC, fields=fields),
        Wanted(
            kind=Kind.SUBNET, name=PUBLIC, fields=subnet, mutable=("allocation_pools",)
        ),
    )


def _private(testbed: Testbed) -> tuple[Wanted, ...]:
    # shared, so that guests of the projects that Rally makes have a network without
    # one having to be made for each
    network: dict[str, Value] = {
        "name": PRIVATE,
        "provider:network_type": "vxlan",
        "shared": True,
    }
    dns = next((network.dns for network in testbed.networks if network.dns), ())
    subnet: dict[str, Value] = {
        "name": PRIVATE,
        "network_id": Reference(kind=Kind.NETWORK, name=PRIVATE),
        "ip_version": 4,
        "cidr": private_cidr([network.cidr for network in testbed.networks]),
        "enable_dhcp": True,
        "dns_nameservers": dns,
    }
    return (
        Wanted(kind=Kind.NETWORK, name=PRIVATE, fields=network),
        Wanted(
            kind=Kind.SUBNET, name=PRIVATE, fields=subnet, mutable=("dns_nameservers",)
        ),
    )


def _router(external: Network | None) -> Wanted:
    gateway: dict[str, Value] = {
        "network_id": Reference(kind=Kind.NETWORK, name=PUBLIC)
    }
    fields: dict[str, Value] = {"name": ROUTER}
    if external:
        fields["external_gateway_info"] = gateway
    return Wanted(
        kind=Kind.ROUTER,
        name=ROUTER,
        fields=fields,
        mutable=("external_gateway_info",),
    )


def _keypair(public_key: str) -> tuple[Wanted, ...]:
    fields: dict[str, Value] = {"name": KEYPAIR, "public_key": public_key.strip()}
    return (Wanted(kind=Kind.KEYPAIR, name=KEYPAIR, fields=fields),)


def _rule(protocol: str) -> Wanted:
    fields: dict[str, Value] = {
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": protocol,
        # from anywhere, to any port: a narrower rule does not count
        **dict.fromkeys(
            ("remote_ip_prefix", "remote_group_id", "port_range_min", "port_range_max")
        ),
    }
    return Wanted(kind=Kind.RULE, name=protocol, fields=fields)


def _shown(fields: Mapping[str, Value]) -> str:
    parts = []
    for key, value in fields.items():
        if key in {"name", "public_key"}:
            continue
        parts.append(f"{key.rpartition(':')[2]} {_text(value)}")
    return ", ".join(parts) or "as it is"


def _text(value: Value) -> str:
    if isinstance(value, Reference):
        return f"`{value.name}`"
    if isinstance(value, Mapping):
        return " ".join(_text(one) for one in value.values())
    if isinstance(value, tuple | list):
        return ", ".join(_text(one) for one in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
