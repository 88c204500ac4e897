"""From Shaker's JSON to measures. Pure.

Shaker keeps what each agent measured as samples, one row for each interval, and the
output of the program that made them; its own report works in units of 1024² bit/s and
without the lengths of intervals, so the figures are computed here, from the samples.

Units: Mbit/s (10⁶ bit/s), ms, %, packets/s; ``retransmits`` is a count.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from enos.bench.measure import Measure
from enos.bench.results import Sla

_SERIES = {
    "ping_icmp": ("rtt", "ms", 1.0),
    "ping_loss": ("loss", "%", 1.0),
    "tcp_download": ("download", "Mbit/s", 1.0),
    "tcp_upload": ("upload", "Mbit/s", 1.0),
    "tcp_totals": ("total", "Mbit/s", 1.0),
    "bandwidth": ("throughput", "Mbit/s", 1e-6),
    "retransmits": ("retransmits", "", 1.0),
}
"""Shaker's name of a column → metric, unit, factor."""

_SHORT = 0.5  # of the longest interval: shorter ones are the rest of a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is in Shaker's output.

    Attributes:
        measures: by test, agent and metric.
        slas: with Shaker's own verdicts.
        faults: tests and agents that gave nothing, in words.

    """

    measures: tuple[Measure, ...]
    slas: tuple[Sla, ...]
    faults: tuple[str, ...]


def found(output: Mapping[str, Any]) -> Found:
    """Return all that Shaker's output tells, tests in the order they were defined."""
    records = _ordered(output)
    places = named_places(output.get("agents") or {})
    tests = output.get("tests") or {}
    several = _several(records)
    measures: list[Measure] = []
    faults: list[str] = []
    for record in records:
        title = str(record.get("test", ""))
        where = places.get(str(record.get("agent", "")), "")
        if record.get("status") == "ok":
            at_once = int(record.get("concurrency", 1)) if title in several else 0
            base = Measure(test=title, place=where, concurrency=at_once, metric="")
            measures += _measures(base, record, tests.get(title, {}))
        else:
            faults.append(_fault(record, title, where))
    return Found(
        measures=tuple(measures), slas=tuple(_slas(output)), faults=tuple(faults)
    )


def _ordered(output: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the records by test, number of agents at once and agent."""
    order = {title: place for place, title in enumerate(output.get("tests") or {})}
    return sorted(
        (output.get("records") or {}).values(),
        key=lambda one: (
            order.get(str(one.get("test", "")), -1),
            one.get("concurrency", 0),
            str(one.get("agent", "")),
        ),
    )


def _measures(
    base: Measure, record: Mapping[str, Any], test: Mapping[str, Any]
) -> Iterator[Measure]:
    for metric, unit, values, mean in _figures(record, test):
        yield replace(base, metric=metric, unit=unit, values=values, mean=mean)


def place(agent: Mapping[str, Any]) -> str:
    """Return where an agent's traffic runs: `compute-1 to compute-2`.

    >>> place({"node": "a", "id": "x_primary_0", "minion": {"node": "b"}})
    'a to b'
    """
    here = str(agent.get("node") or agent.get("id") or "")
    there = str((agent.get("minion") or {}).get("node") or "")
    return f"{here} to {there}" if there else here


def named_places(agents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the place of each agent, numbered where several have the same.

    >>> named_places({"x_10": {"node": "a"}, "x_2": {"node": "a"}})
    {'x_2': 'a #1', 'x_10': 'a #2'}
    """
    alike: dict[str, list[str]] = {}
    for name in sorted(agents, key=_numbers):
        if agents[name].get("mode") != "minion":
            alike.setdefault(place(agents[name]), []).append(name)
    return {
        name: f"{where} #{number}" if len(names) > 1 else where
        for where, names in alike.items()
        for number, name in enumerate(names, 1)
    }


def _numbers(name: str) -> list[str | int]:
    """Return a name's parts so that 2 sorts before 10."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if at % 2 else part for at, part in enumerate(parts)]


def weighted(
    times: Sequence[float], values: Sequence[float | None]
) -> tuple[tuple[float, ...], float | None]:
    """Return the values of whole intervals, and the mean over the time of all.

    The last interval of a measurement is often a few milliseconds long: it counts in
    the mean for as long as it lasted, and is no value by itself.

    Args:
        times: ends of the intervals, seconds, the first begins at 0.
        values: rates in them, None where nothing was measured.

    >>> weighted([1.0, 2.0, 2.1], [10.0, 20.0, 500.0])[0]
    (10.0, 20.0)
    """
    lengths = [end - begin for begin, end in zip((0.0, *times), times, strict=False)]
    known = [
        (length, value)
        for length, value in zip(lengths, values, strict=True)
        if value is not None and length > 0
    ]
    if not known:
        return (), None
    longest = max(length for length, _ in known)
    whole = tuple(value for length, value in known if length >= _SHORT * longest)
    total = sum(length for length, _ in known)
    return whole, sum(length * value for length, value in known) / total


Figure = tuple[str, str, tuple[float, ...], float | None]


def _figures(record: Mapping[str, Any], test: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield metric, unit, values and mean of all a record holds."""
    if record.get("executor") == "iperf3":
        yield from _iperf3(_report(record), test)
        return
    samples = record.get("samples") or []
    columns = [name for name, _ in record.get("meta") or ()]
    for at, name in enumerate(columns):
        if name == "time":
            continue
        metric, unit, factor = _SERIES.get(name, (name, _unit(record, at), 1.0))
        values = [None if row[at] is None else factor * row[at] for row in samples]
        if record.get("executor") == "flent" and metric in {"rtt", "loss"}:
            kept = tuple(round(value, 6) for value in values if value is not None)
            mean = _mean(kept)
            one = (mean,) if mean is not None else ()
            yield metric, unit, one if metric == "loss" else kept, mean
        else:
            yield (metric, unit, *weighted([row[0] for row in samples], values))
    if not columns and record.get("finish"):
        took = float(record["finish"]) - float(record["start"])
        yield "duration", "s", (round(took, 6),), round(took, 6)


def _iperf3(report: Mapping[str, Any], test: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the figures of `iperf3 --json`, see iperf3(1)."""
    intervals = report.get("intervals") or ()
    ends = [one["sum"]["end"] for one in intervals]
    rates = [one["sum"]["bits_per_second"] / 1e6 for one in intervals]
    end = report.get("end") or {}
    if test.get("udp"):
        yield from _udp(intervals, (ends, rates), end.get("sum") or {})
        return
    # What is sent fills buffers first: only the other end knows what arrived.
    arriving = bool(test.get("reverse"))
    yield ("throughput" if arriving else "sent", "Mbit/s", *weighted(ends, rates))
    arrived = (end.get("sum_received") or {}).get("bits_per_second")
    if arrived and not arriving:
        yield "throughput", "Mbit/s", (arrived / 1e6,), arrived / 1e6
    sent_here = [one["sum"] for one in intervals if "retransmits" in one["sum"]]
    if sent_here:
        lost = tuple(float(one["retransmits"]) for one in sent_here)
        yield "retransmits", "", lost, sum(lost) / len(lost)
    trips = [
        stream["rtt"] / 1000
        for one in intervals
        for stream in one.get("streams", ())
        if stream.get("rtt")
    ]
    if trips:  # of TCP's own clock, under load
        yield "tcp_rtt", "ms", tuple(trips), sum(trips) / len(trips)


def _udp(
    intervals: Sequence[Mapping[str, Any]],
    sent: tuple[list[float], list[float]],
    end: Mapping[str, Any],
) -> Iterator[Figure]:
    """Yield what was sent in each interval and what arrived in all."""
    whole, mean = weighted(*sent)
    yield "sent", "Mbit/s", whole, mean
    packets = int(end.get("packets") or 0)
    if packets and mean is not None:
        share = int(end.get("lost_packets") or 0) / packets
        yield "throughput", "Mbit/s", (mean * (1 - share),), mean * (1 - share)
        yield "loss", "%", (100 * share,), 100 * share
        jitter = float(end.get("jitter_ms") or 0)
        yield "jitter", "ms", (jitter,), jitter
    counted = [
        one["sum"]["packets"] / one["sum"]["seconds"]
        for one in intervals
        if one["sum"].get("packets") is not None and one["sum"].get("seconds")
    ]
    if counted:
        yield ("packet_rate", "packets/s", *weighted(sent[0], counted))


def _report(record: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(json.loads(record.get("stdout") or "{}"))
    except ValueError:
        return {}


def _fault(record: Mapping[str, Any], title: str, where: str) -> str:
    status = str(record.get("status", "no status"))
    text = record.get("info") or record.get("stderr") if status == "error" else ""
    said = str(text or "").strip().splitlines()
    words = [
        " ".join(filter(None, (f"`{title}`" if title else "", where))),
        {"lost": "the agent was lost", "error": ""}.get(status, status),
        said[-1] if said else "",
    ]
    return ": ".join(filter(None, words))


def _slas(output: Mapping[str, Any]) -> Iterator[Sla]:
    """Yield criteria once each: met when they are met by all they are about."""
    states: dict[str, list[str]] = {}
    for one in output.get("sla") or ():
        criterion = f"{one.get('test', '')}: {one['expression']}"
        states.setdefault(criterion, []).append(str(one["state"]))
    for criterion, several in states.items():
        missed = [state for state in several if state != "OK"]
        yield Sla(criterion=criterion, ok=not missed, detail=", ".join(missed))


def _several(records: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the tests that were run with several numbers of agents at once."""
    numbers: dict[str, set[Any]] = {}
    for one in records:
        numbers.setdefault(str(one.get("test", "")), set()).add(one.get("concurrency"))
    return frozenset(title for title, several in numbers.items() if len(several) > 1)


def _unit(record: Mapping[str, Any], at: int) -> str:
    return str(record["meta"][at][1])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
