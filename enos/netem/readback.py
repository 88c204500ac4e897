"""What a host says it does, compared with what it was told. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from enos.netem.commands import Backend, HostCommands
from enos.netem.shaping import Shaping
from enos.netem.trafficcontrol import HANDLE, TrafficClass
from enos.netem.userspace import FAMILIES, Queue

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """Milliseconds and percent as netem reports them."""

    delay: float
    jitter: float
    loss: float


def _is(leaf: dict[str, Any] | None, shaping: Shaping) -> bool:
    if leaf is None or leaf.get("kind") != "netem":
        return False
    options = leaf["options"]
    delay = options.get("delay", {})
    said = _Figures(
        delay=1000 * delay.get("delay", 0),
        jitter=1000 * delay.get("jitter", 0),
        loss=100 * options.get("loss-random", {}).get("loss", 0),
    )
    asked = (shaping.delay.ms, shaping.jitter.ms, shaping.loss.value)
    got = (said.delay, said.jitter, said.loss)
    # tc prints times to a microsecond and shares to about seven digits.
    return all(abs(a - b) <= 0.002 for a, b in zip(asked, got, strict=True))  # noqa: PLR2004


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
