"""What was asked for, what was there and what was measured, side by side. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enos.report.readings import Link, Machine, Readings
from enos.report.runs import Event, Run, Scenario

MOST = 6
"""Lines of a cell; more are counted instead."""

QUANTITIES = {
    "rtt": "round trip",
    "jitter": "jitter",
    "loss": "loss",
    "duplicate": "duplicates",
    "reorder": "reordered",
    "rate": "rate",
}
"""What verdicts are about → its name, in the order in which they are told."""

_UNITS = {"rtt": "ms", "jitter": "ms", "rate": "Mbit/s"}
_ENDS = ("src", "dst", "symmetric", "network")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A row: lines of text under each of the three headings.

    Attributes:
        ok: whether what was measured is what was asked, None when nothing judges it.

    """

    title: str
    asked: tuple[str, ...]
    there: tuple[str, ...]
    measured: tuple[str, ...]
    ok: bool | None = None


def compared(readings: Readings) -> tuple[Compared, ...]:
    """Return a row for machines, OpenStack, network and each benchmark run.

    One of which nothing is known is left out.
    """
    rows = (
        _machines(readings),
        _openstack(readings),
        _network(readings),
        *map(_benchmark, readings.runs),
    )
    return tuple(row for row in rows if row.asked or row.there or row.measured)


def figure(quantity: str, value: float | None) -> str:
    """Return a value with its unit; rates come in bit/s.

    >>> figure("rtt", 25.1234), figure("rtt", 0.07944), figure("loss", None)
    ('25.12 ms', '0.0794 ms', 'nothing')
    >>> figure("rate", 12_500_000.0)
    '12.5 Mbit/s'
    """
    if value is None:
        return "nothing"
    scaled = value / 1e6 if quantity == "rate" else value
    digits = 4 if abs(scaled) >= 1 else 3
    return f"{scaled:.{digits}g} {_UNITS.get(quantity, '%')}"


def seconds(value: float) -> str:
    """Return a duration as people say it.

    >>> seconds(7.04), seconds(265.9), seconds(7322)
    ('7.0 s', '4 min 26 s', '2 h 2 min')
    """
    whole = round(value)
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{value:.1f} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def took(journal: Iterable[Event]) -> dict[str, float]:
    """Return phase → seconds of its last run that was finished."""
    return {
        str(event["what"]): float(event["seconds"])
        for event in journal
        if event["kind"] == "phase" and event.get("status") == "finished"
    }


def _machines(readings: Readings) -> Compared:
    phases = took(readings.journal)
    demand = readings.resolved.get("demand", {}).get("machines", ())
    measured = [f"up in {seconds(phases['up'])}"] if "up" in phases else []
    asked = [_wish(machine) for machine in demand]
    there = [_machine(machine) for machine in readings.machines]
    provider = str(readings.resolved.get("provider", ""))
    return Compared(
        title="Machines",
        asked=_short([f"provider {provider}" if provider else "", *asked]),
        there=_short(there),
        measured=tuple(measured),
    )


def _wish(machine: Mapping[str, Any]) -> str:
    roles = ", ".join(map(str, machine.get("roles", ())))
    return f"{machine.get('number', 1)} in {machine.get('group', '')}: {roles}"


def _machine(machine: Machine) -> str:
    processors = machine.processors and f"{machine.processors} processors"
    size = ", ".join(filter(None, (processors, machine.memory)))
    return f"{machine.name}: {size}" if size else machine.name


def _openstack(readings: Readings) -> Compared:
    phases, guest = took(readings.journal), readings.guest
    resolved, versions = readings.resolved, readings.versions
    there = [
        f"{name} {versions[name]}" for name in ("kolla-ansible",) if name in versions
    ]
    if readings.images:
        count, tag = len(readings.images.get("names", ())), readings.images.get("tag")
        there.append(f"{count} images {readings.images.get('origin')}, tag {tag}")
    measured = []
    if "os" in phases:
        measured.append(f"deployed in {seconds(phases['os'])}")
    if guest:
        active, ping = guest.get("seconds_to_active"), guest.get("seconds_to_ping")
        measured.append(f"a guest was active after {active} s, answered after {ping} s")
    release = str(resolved.get("release", ""))
    virt = str(resolved.get("virt", ""))
    return Compared(
        title="OpenStack",
        asked=_filled(f"release {release}" if release else "", virt and f"virt {virt}"),
        there=tuple(there),
        measured=tuple(measured),
        ok=bool(guest["ready"]) if "ready" in guest else None,
    )


def _network(readings: Readings) -> Compared:
    links = sorted(readings.links, key=lambda link: _place(link.quantity))
    resolved = readings.resolved
    there = [f"emulated by {readings.backend}"] if readings.backend else []
    for quantity in dict.fromkeys(link.quantity for link in links):
        before = [
            link.baseline
            for link in links
            if link.quantity == quantity and link.baseline is not None
        ]
        if before:
            name = QUANTITIES.get(quantity, quantity)
            there.append(f"{name} before: {_range(quantity, before)}")
    return Compared(
        title="Network",
        asked=_short(
            [
                *_constraints(resolved.get("constraints", {})),
                *(f"by hand: {_constraint(one)}" for one in readings.by_hand),
            ]
        ),
        there=tuple(there),
        measured=tuple(_measured(links)),
        ok=all(link.ok for link in links) if links else None,
    )


def _place(quantity: str) -> int:
    """Return where a quantity stands among the others: round trips come first."""
    names = list(QUANTITIES)
    return names.index(quantity) if quantity in names else len(names)


def _measured(links: Iterable[Link]) -> Iterator[str]:
    by_quantity: dict[str, list[Link]] = {}
    for link in links:
        by_quantity.setdefault(link.quantity, []).append(link)
    for quantity, several in by_quantity.items():
        figures = [link.measured for link in several if link.measured is not None]
        good = sum(link.ok for link in several)
        name = QUANTITIES.get(quantity, quantity)
        yield (f"{name} {_range(quantity, figures)}, {good} of {len(several)} as asked")


def _range(quantity: str, values: list[float]) -> str:
    if not values:
        return "nothing"
    least, greatest = figure(quantity, min(values)), figure(quantity, max(values))
    return least if least == greatest else f"{least.split()[0]} to {greatest}"


def _constraints(plain: Mapping[str, Any]) -> list[str]:
    if not plain.get("enable", True):
        return ["no emulation"]
    names = ("delay", "rate", "loss")
    defaults = _shape({name: plain.get(f"default_{name}") for name in names})
    spared = ", ".join(map(str, plain.get("exclude") or ()))
    between = f"between groups but {spared}" if spared else "between groups"
    lines = [f"{between}: {defaults}"] if defaults else []
    return lines + [_constraint(one) for one in plain.get("constraints", ())]


def _constraint(plain: Mapping[str, Any]) -> str:
    arrow = "↔" if plain.get("symmetric") else "→"
    network = f" on {plain['network']}" if plain.get("network") else ""
    return f"{plain.get('src')} {arrow} {plain.get('dst')}{network}: {_shape(plain)}"


def _shape(plain: Mapping[str, Any]) -> str:
    parts = (
        f"{name.replace('_', ' ')} {_amount(value)}"
        for name, value in plain.items()
        if name not in _ENDS and value is not None
    )
    return ", ".join(parts)


def _amount(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a quantity as `enos.units` keeps it.

    >>> _amount({"ms": 12.5}), _amount({"bits": 1e9}), _amount({"value": 1.0})
    ('12.5 ms', '1000 Mbit/s', '1 %')
    """
    if not isinstance(value, Mapping):
        return str(value)
    match value:
        case {"ms": float() | int() as ms}:
            return f"{ms:g} ms"
        case {"bits": float() | int() as bits}:
            return f"{bits / 1e6:g} Mbit/s"
        case {"value": float() | int() as percent}:
            return f"{percent:g} %"
        case _:
            filled = {k: v for k, v in value.items() if v is not None}
            return ", ".join(f"{key} {_amount(one)}" for key, one in filled.items())


def _benchmark(run: Run) -> Compared:
    scenarios = run.scenarios
    plugins = Counter(one.plugin.partition(".")[0] for one in scenarios)
    iterations = sum(len(one.durations) for one in scenarios)
    asked = _count(len(scenarios), "scenario")
    if iterations:
        asked += f", {_count(iterations, 'iteration')}"
    events = [one for one in run.events if one.get("kind") != "end"]  # nobody asked it
    ok = all(one.ok for one in scenarios) and all(_good(run.events))
    return Compared(
        title=f"Benchmark {run.label}",
        asked=_filled(
            asked if scenarios else "",
            _count(len(events), "event") if events else "",
        ),
        there=_short([f"{name}: {count}" for name, count in plugins.items() if name]),
        measured=(
            *_ended(scenarios, iterations),
            *_happened(events),
            *(f"not measured: {what}" for what in run.unmeasured),
        ),
        ok=ok if scenarios else None,
    )


def _ended(scenarios: Sequence[Scenario], iterations: int) -> Iterator[str]:
    if not scenarios:
        yield "has not ended, or was cut short"
        return
    failed = sum(not ok for one in scenarios for ok in one.passed)
    good = sum(one.ok for one in scenarios)
    yield f"{good} of {_count(len(scenarios), 'scenario')} as asked"
    if iterations:
        yield f"{failed} of {_count(iterations, 'iteration')} failed"


def _happened(events: Sequence[Event]) -> Iterator[str]:
    if events:
        yield f"{sum(_good(events))} of {_count(len(events), 'event')} as asked"


def _good(events: Iterable[Event]) -> list[bool]:
    return [bool(event.get("ok", True)) for event in events]


def _count(number: int, what: str) -> str:
    """Return a number of things.

    >>> _count(1, "event"), _count(4, "scenario")
    ('1 event', '4 scenarios')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def _filled(*lines: str) -> tuple[str, ...]:
    return tuple(line for line in lines if line)


def _short(lines: Iterable[str]) -> tuple[str, ...]:
    filled = _filled(*lines)
    if len(filled) <= MOST:
        return filled
    return (*filled[: MOST - 1], f"and {len(filled) - MOST + 1} more")
