"""What a host says it does, compared with what it was told. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from enos.netem.commands import Backend, HostCommands
from enos.netem.crandom import threshold
from enos.netem.shaping import Shaping
from enos.netem.trafficcontrol import HANDLE, UNLIMITED, TrafficClass
from enos.netem.userspace import CHAIN, FAMILIES, SET_PREFIX, lanes
from enos.units import GilbertElliott, Rate

Address = IPv4Address | IPv6Address
HTB = ("rate", "ceil", "burst", "cburst")
_CLASS = re.compile(
    r"^class htb (\S+) .*?" + " ".join(rf"\b{name} (\S+)" for name in HTB),
    re.MULTILINE,
)
_SIZE = re.compile(r"([\d.e+]+)(b|Kb|Mb)")
_BYTES = {"b": 1, "Kb": 1 << 10, "Mb": 1 << 20}
# tc prints rates to four figures, sizes to 16 of 1024 bytes, and takes a size for the
# whole microseconds in which the rate brings it: one of a hundred without a rate.
_CLOSE = {"rate": 0.001, "ceil": 0.001, "burst": 0.03, "cburst": 0.03}
_FILTER = re.compile(
    rf"^filter .*\bflowid ({HANDLE}[0-9a-f]+)\b.*\n((?: +match .*\n?)+)", re.MULTILINE
)
_WORD = re.compile(r"match ([0-9a-f]{8})/ffffffff at (\d+)")
_DESTINATION: Mapping[tuple[int, ...], type[Address]] = {
    (16,): IPv4Address,
    (24, 28, 32, 36): IPv6Address,
}
_MEMBER = re.compile(r"^add (\S+) (\S+)", re.MULTILINE)


def faults(told: HostCommands, report: str) -> tuple[str, ...]:
    """Return what differs between a host's commands and its report, empty if nothing.

    Args:
        told: the commands of that host.
        report: what `HostCommands.report_script` printed there.

    """
    said = _sections(report)
    if "end" not in said:
        return ("the report of the host ends early",)
    found = list(_death_faults(said["deaths"].splitlines()))
    for device, several in told.trees:
        text = said.get(f"tree {device}", "")
        found += _tree_faults(device, several, text, told.backend)
    if told.queues:
        found += _queue_faults(told, said)
    return tuple(found)


def _sections(report: str) -> dict[str, str]:
    parts = re.split(r"^\[([a-z]+(?: \S+)?)\]\n", report, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _tree_faults(
    device: str, several: Sequence[TrafficClass], text: str, backend: Backend
) -> Iterator[str]:
    there = {found[0]: found[1:] for found in _CLASS.findall(text)}
    absent = [one.id for one in several if one.id not in there]
    if absent:
        yield f"{device}: {len(absent)} of {len(several)} classes are missing"
        return
    for one in several:
        for what in _rate_faults(one.shaping, there[one.id]):
            yield f"{device}: class {one.id} {what}"
    for what in _filter_faults(several, text):
        yield f"{device}: {what}"
    if backend is Backend.NETEM:
        leaves = {leaf.get("parent"): leaf for leaf in _qdiscs(text)}
        for one in several:
            if one.shaping.disturbs and not _is(leaves.get(one.id), one.shaping):
                yield f"{device}: class {one.id} is not {one.shaping}"


def _rate_faults(shaping: Shaping, said: Sequence[str]) -> Iterator[str]:
    rate = shaping.rate or Rate.parse(UNLIMITED)
    kept = int(rate.bits) // 8 * 8  # in whole bytes per second (tc_ratespec)
    asked = (kept, kept, shaping.burst, shaping.burst)
    for name, word, wanted in zip(HTB, said, asked, strict=True):
        found = _size(word) if "burst" in name else Rate.parse(word).bits
        if abs(found - wanted) > _CLOSE[name] * wanted:
            unit = " bytes" if "burst" in name else " bit/s"
            yield f"has {name} {word} instead of {wanted:.10g}{unit}"


def _size(word: str) -> float:
    """Return the bytes of a size as tc prints it; -1 for what is none."""
    match = _SIZE.fullmatch(word)
    return float(match[1]) * _BYTES[match[2]] if match else -1.0


def _filter_faults(several: Sequence[TrafficClass], text: str) -> Iterator[str]:
    """Yield what is classified otherwise, and which family is not looked up at all."""
    wanted = {ip_address(word): one.id for one in several for word in one.addresses}
    found = _targets(text)
    astray = [one for one, flow in wanted.items() if found.get(one) != flow]
    if astray:
        first, to = astray[0], found.get(astray[0], "no class")
        yield (
            f"{len(astray)} of {len(wanted)} addresses are in another class than "
            f"planned, {first} in {to} instead of {wanted[first]}"
        )
    if more := [one for one in found if one not in wanted]:
        yield f"filters for {len(more)} addresses more than planned, {more[0]} first"
    for version in sorted({address.version for address in wanted}):
        if f" link {version}: " not in f"{text} ":
            yield f"no look into the hash table of IPv{version} addresses"


def _targets(text: str) -> dict[Address, str]:
    """Return destination address → class of the u32 filters tc prints."""
    targets: dict[Address, str] = {}
    for flow, matches in _FILTER.findall(text):
        words = _WORD.findall(matches)
        family = _DESTINATION.get(tuple(int(offset) for _, offset in words))
        if family:
            targets[family(int("".join(word for word, _ in words), 16))] = flow
    return targets


def _qdiscs(text: str) -> list[dict[str, Any]]:
    line = next((line for line in text.splitlines() if line.startswith("[{")), "[]")
    listed: list[dict[str, Any]] = json.loads(line)
    return listed


def _is(leaf: dict[str, Any] | None, shaping: Shaping) -> bool:
    """Tell whether a qdisc, as ``tc -j`` prints it, does what was asked.

    The kernel does not tell the table of a distribution.
    """
    if leaf is None or leaf.get("kind") != "netem":
        return False
    said, asked = _reported(leaf["options"]), _asked(shaping)
    # tc prints times to a microsecond and shares to about seven digits.
    return all(abs(said[name] - asked[name]) <= 0.002 for name in asked)  # noqa: PLR2004


def _reported(options: dict[str, Any]) -> dict[str, float]:
    """Return milliseconds, percent and packets of netem's options, 0 where not set."""
    parts = {
        "delay": ("delay", ("delay", "jitter", "correlation")),
        "loss": ("loss-random", ("loss",)),
        "gemodel": ("loss-gemodel", ("p", "r", "1-h", "1-k")),
        "duplicate": ("duplicate", ("duplicate",)),
        "reorder": ("reorder", ("reorder", "correlation")),
        "corrupt": ("corrupt", ("corrupt",)),
    }
    said = {
        f"{part} {name}": float(options.get(key, {}).get(name, 0)) * 100
        for part, (key, names) in parts.items()
        for name in names
    }
    for time in ("delay delay", "delay jitter"):  # in seconds
        said[time] *= 10
    return said | {"limit": float(options["limit"])}


def _asked(shaping: Shaping) -> dict[str, float]:
    losses = shaping.losses
    reorder = threshold(shaping.reorder, shaping.reorder_correlation).value
    asked = {
        "delay delay": shaping.delay.ms,
        "delay jitter": shaping.jitter.ms,
        "delay correlation": shaping.delay_correlation.value,
        "loss loss": 0.0,
        "duplicate duplicate": shaping.duplicate.value,
        "reorder reorder": reorder,
        "reorder correlation": shaping.reorder_correlation.value,
        "corrupt corrupt": shaping.corrupt.value,
        "limit": float(shaping.limit),
    }
    if not isinstance(losses, GilbertElliott):
        return asked | {"loss loss": losses.value}
    shares = {"p": losses.p, "r": losses.back, "1-h": losses.bad, "1-k": losses.good}
    return asked | {f"gemodel {name}": share.value for name, share in shares.items()}


def _death_faults(deaths: Sequence[str]) -> Iterator[str]:
    """Yield how often the daemon died; what is left of it differs by itself."""
    if deaths:
        times = "once" if len(deaths) == 1 else f"{len(deaths)} times"
        yield (
            f"the delay daemon died {times} since it was told, last at {deaths[-1]}: "
            "packets passed undelayed meanwhile"
        )


def _queue_faults(told: HostCommands, said: Mapping[str, str]) -> Iterator[str]:
    lines = said.get("queues", "").splitlines()
    bound = {int(line.split()[0]) for line in lines if line.strip()}
    for queue in told.queues:
        if queue.number not in bound:
            yield f"the delay daemon is gone: nobody reads queue {queue.number}"
    if said.get("classes", "").strip() != lanes(told.queues):
        yield "the delay daemon was given other quantities than planned"
    sets: dict[str, set[Address]] = {}
    for name, member in _MEMBER.findall(said.get("sets", "")):
        sets.setdefault(name, set()).add(ip_address(member))
    for version in FAMILIES:
        yield from _family_faults(told, version, sets, said.get("chains", ""))


def _family_faults(
    told: HostCommands, version: int, sets: Mapping[str, set[Address]], chains: str
) -> Iterator[str]:
    used = [queue for queue in told.queues if queue.sources_of(version)]
    wanted = {
        q.set_name(version): set(map(ip_address, q.sources_of(version))) for q in used
    }
    everyone = f"{SET_PREFIX}all-{version}"
    if used:
        wanted[everyone] = set().union(*wanted.values())
        if f"PREROUTING -m set --match-set {everyone} src -j {CHAIN}" not in chains:
            yield f"IPv{version} packets do not enter the chain {CHAIN}"
    for name, members in wanted.items():
        if wrong := members ^ sets.get(name, set()):
            yield f"set {name} has {len(wrong)} addresses too few or too many"
    for queue in used:
        name = queue.set_name(version)
        rule = f"--match-set {name} src -j NFQUEUE --queue-num {queue.number} "
        if rule not in chains:
            yield f"the rule that fills queue {queue.number} is missing"
