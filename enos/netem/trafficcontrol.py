"""The htb tree of an interface as a batch for tc(8). Pure.

A packet is classified by its destination: one look into a u32 hash table of 256
buckets, then the few filters of that bucket, however many destinations there are. What
matches none leaves unshaped (htb's direct queue). Numbers of classes and buckets are
hexadecimal, as tc reads them.

See tc-htb(8), tc-u32(8), tc-netem(8).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from enos.errors import EmulationError
from enos.netem.crandom import threshold
from enos.netem.plan import Flow, Interface
from enos.netem.shaping import UNIFORM, Shaping
from enos.units import Duration, Percent

HANDLE = "e05:"  # how enos knows its own root qdisc
UNLIMITED = "100gbit"  # for classes without a rate: htb insists on one
MOST_CLASSES = 0xFFFE
BUCKETS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficClass:
    """A class of an interface and the addresses whose packets it takes.

    Attributes:
        minor: its number, 1 to 65534.

    """

    minor: int
    shaping: Shaping
    addresses: tuple[str, ...]

    @property
    def id(self) -> str:
        """Return it as tc writes it: ``e05:1a``."""
        return f"{HANDLE}{self.minor:x}"


def classes(interface: Interface, *, netem: bool) -> tuple[TrafficClass, ...]:
    """Return the classes of an interface.

    With a rate, each host at the other end has a class of its own, since a rate is
    that of one link; without, hosts with the same shaping share one. Flows without
    rate need no class where delay and loss are made elsewhere (`netem` false).

    Raises EmulationError when the interface would need more classes than tc has.
    """
    shaped = [flow for flow in interface.outgoing if netem or flow.shaping.rate]
    members: dict[tuple[Shaping, str], list[str]] = {}
    for flow in shaped:
        for key, addresses in _shares(flow):
            members.setdefault(key, []).extend(addresses)
    if len(members) > MOST_CLASSES:
        raise EmulationError(
            f"`{interface.device}` of `{interface.host}` needs {len(members)} classes, "
            f"tc has {MOST_CLASSES}",
            hint="leave out the rate where it is not studied",
        )
    return tuple(
        TrafficClass(minor=minor, shaping=shaping, addresses=tuple(addresses))
        for minor, ((shaping, _), addresses) in enumerate(members.items(), start=1)
    )


def _shares(flow: Flow) -> Iterator[tuple[tuple[Shaping, str], tuple[str, ...]]]:
    for peer in flow.peers:
        owner = peer.host if flow.shaping.rate else ""
        yield (flow.shaping, owner), peer.addresses


def batch(
    interface: Interface, *, netem: bool, spared_ports: Sequence[int] = ()
) -> str:
    """Return the lines for ``tc -batch`` that shape an interface, "" for none.

    They expect the interface without a root qdisc of enos.
    """
    several = classes(interface, netem=netem)
    if not several:
        return ""
    device = interface.device
    lines = [f"qdisc add dev {device} root handle {HANDLE} htb default 0"]
    for one in several:
        lines += _class(device, one, netem=netem)
    for version, protocol in ((4, "ip"), (6, "ipv6")):
        lines += _spared(device, protocol, version, spared_ports)
    for version in (4, 6):
        lines += _filters(device, version, several)
    return "\n".join(lines) + "\n"


def _class(device: str, one: TrafficClass, *, netem: bool) -> Iterator[str]:
    shaping = one.shaping
    rate = str(shaping.rate) if shaping.rate else UNLIMITED
    yield (
        f"class add dev {device} parent {HANDLE} classid {one.id} htb "
        f"rate {rate} ceil {rate} "
        f"burst {shaping.burst} cburst {shaping.burst} quantum {shaping.quantum}"
    )
    plain = f"pfifo limit {shaping.waiting}"
    leaf = netem_words(shaping) if netem and shaping.disturbs else plain
    yield f"qdisc add dev {device} parent {one.id} {leaf}"


def netem_words(shaping: Shaping) -> str:
    """Return the netem qdisc for a shaping, rate apart.

    >>> from enos.units import Duration, Percent
    >>> netem_words(Shaping(delay=Duration(ms=25), loss=Percent(value=0.1)))
    'netem limit 32250 delay 25ms loss 0.1%'
    """
    words = [f"netem limit {shaping.limit}"]
    if shaping.delay.ms or shaping.jitter.ms:
        words.append(f"delay {shaping.delay}")
    if shaping.jitter.ms:
        words.append(_with(shaping.jitter, shaping.delay_correlation))
        if shaping.distribution != UNIFORM:  # which has no table and is the default
            words.append(f"distribution {shaping.distribution}")
    if shaping.loss.value:
        words.append(f"loss {shaping.losses}")
    if shaping.duplicate.value:
        words.append(f"duplicate {shaping.duplicate}")
    if shaping.reorder.value:
        share = threshold(shaping.reorder, shaping.reorder_correlation)
        words.append(f"reorder {_with(share, shaping.reorder_correlation)}")
    if shaping.corrupt.value:
        words.append(f"corrupt {shaping.corrupt}")
    return " ".join(words)


def _with(quantity: Duration | Percent, correlation: Percent) -> str:
    return f"{quantity} {correlation}" if correlation.value else str(quantity)


def _spared(
    device: str, protocol: str, version: int, ports: Sequence[int]
) -> Iterator[str]:
    """Let TCP of those ports pass unshaped: classid of the root is its direct queue."""
    match = {"ip": "ip", "ipv6": "ip6"}[protocol]
    for port in ports:
        for end in ("sport", "dport"):
            yield (
                f"filter add dev {device} parent {HANDLE} protocol {protocol} "
                f"prio {version * 10} u32 match {match} protocol 6 0xff "
                f"match {match} {end} {port} 0xffff flowid {HANDLE}"
            )


def _filters(
    device: str, version: int, several: Sequence[TrafficClass]
) -> Iterator[str]:
    """Yield the hash table of one address family, nothing when it has no address."""
    pairs = [(a, c) for c in several for a in c.addresses if _version(a) == version]
    if not pairs:
        return
    protocol, match, offset, bits = (
        ("ip", "ip", 16, 32) if version == 4 else ("ipv6", "ip6", 36, 128)  # noqa: PLR2004
    )
    shift = spreading_shift([_last_word(address) for address, _ in pairs])
    table = f"{version}:"
    head = f"filter add dev {device} parent {HANDLE} protocol {protocol} "
    head += f"prio {version * 10 + 1}"
    yield f"{head} handle {table} u32 divisor {BUCKETS}"
    yield (
        f"{head} u32 match u32 0 0 "
        f"hashkey mask {0xFF << shift:#010x} at {offset} link {table}"
    )
    for address, one in pairs:
        bucket = _last_word(address) >> shift & 0xFF
        yield (
            f"{head} u32 ht {table}{bucket:x}: "
            f"match {match} dst {address}/{bits} flowid {one.id}"
        )


def spreading_shift(words: Sequence[int]) -> int:
    """Return which 8 bits of these 32-bit words spread them best over 256 buckets.

    The number of bits below them, the least among equals.

    >>> spreading_shift([0x0A000105, 0x0A000205, 0x0A000305])
    2
    """
    fullest = {
        shift: max(Counter(word >> shift & 0xFF for word in words).values())
        for shift in range(25)
    }
    return min(fullest, key=lambda shift: (fullest[shift], shift))


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _last_word(address: str) -> int:
    parsed = ip_address(address)
    number = int(parsed)
    return number & 0xFFFFFFFF if isinstance(parsed, IPv6Address) else number
