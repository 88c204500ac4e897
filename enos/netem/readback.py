"""What a host says it does, compared with what it was told. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from enos.netem.commands import Backend, HostCommands
from enos.netem.crandom import threshold
from enos.netem.shaping import Shaping
from enos.netem.trafficcontrol import HANDLE, TrafficClass
from enos.netem.userspace import FAMILIES, Queue
from enos.units import GilbertElliott

_CLASS = re.compile(r"^class htb (\S+) ", re.MULTILINE)
_ADDRESS_FILTER = re.compile(rf"flowid {HANDLE}[0-9a-f]+\b")
_SET = re.compile(r"^Name: (\S+)\nNumber of entries: (\d+)$", re.MULTILINE)


def faults(told: HostCommands, report: str) -> tuple[str, ...]:
    """Return what differs between a host's commands and its report, empty if nothing.

    Args:
        told: the commands of that host.
        report: what `HostCommands.report_script` printed there.

    """
    said = _sections(report)
    if "end" not in said:
        return ("the report of the host ends early",)
    found: list[str] = []
    for device, several in told.trees:
        text = said.get(f"tree {device}", "")
        found += _tree_faults(device, several, text, told.backend)
    found += _queue_faults(told.queues, said)
    return tuple(found)


def _sections(report: str) -> dict[str, str]:
    parts = re.split(r"^\[([a-z]+(?: \S+)?)\]\n", report, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _tree_faults(
    device: str, several: Sequence[TrafficClass], text: str, backend: Backend
) -> Iterator[str]:
    there = set(_CLASS.findall(text))
    absent = [one.id for one in several if one.id not in there]
    if absent:
        yield f"{device}: {len(absent)} of {len(several)} classes are missing"
        return
    wanted = sum(len(one.addresses) for one in several)
    filters = len(_ADDRESS_FILTER.findall(text))
    if filters != wanted:
        yield f"{device}: {filters} filters instead of {wanted}"
    if backend is Backend.NETEM:
        leaves = {leaf.get("parent"): leaf for leaf in _qdiscs(text)}
        for one in several:
            if one.shaping.disturbs and not _is(leaves.get(one.id), one.shaping):
                yield f"{device}: class {one.id} is not {one.shaping}"


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


def _queue_faults(several: Sequence[Queue], said: dict[str, str]) -> Iterator[str]:
    lines = said.get("queues", "").splitlines()
    bound = {int(line.split()[0]) for line in lines if line.strip()}
    sizes = dict(_SET.findall(said.get("sets", "")))
    chains = said.get("chains", "")
    for queue in several:
        if queue.number not in bound:
            yield f"the delay daemon died: nobody reads queue {queue.number}"
        for version in FAMILIES:
            sources = queue.sources_of(version)
            name = queue.set_name(version)
            if not sources:
                continue
            if int(sizes.get(name, 0)) != len(sources):
                yield f"set {name} lacks some of its {len(sources)} addresses"
            rule = f"--match-set {name} src -j NFQUEUE --queue-num {queue.number} "
            if rule not in chains:
                yield f"the rule that fills queue {queue.number} is missing"
