"""Measuring a testbed's links: round trips and losses by ICMP echo, rates by iperf3."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from enos.errors import CapabilityError
from enos.netem.expected import overtaken_below, worth
from enos.netem.measurement import MeasuredPair, Measurement, Pair, Trips
from enos.netem.rates import CUT, Rated, Reach, rates_between
from enos.netem.shaping import TAIL, Shaping
from enos.netem.standalone import standalone
from enos.netem.verdict import verdicts
from enos.process import Shell
from enos.progress import Progress, Step
from enos.remote import on_each
from enos.testbed import Host, Testbed

FEWEST, MOST = 20, 2000  # probes of a pair
EVENTS = 50  # losses, copies and so on that a pair is probed long enough to see
SPREAD = 200  # probes that show a distribution of delays
SLOW, FAST = 0.02, 0.005  # seconds between probes of a pair, without and with loss
PATIENCE = 1.0  # seconds to wait for the last reply


def measure(
    pairs: Sequence[Pair],
    testbed: Testbed,
    shell: Shell,
    progress: Progress,
    *,
    baseline: Measurement | None = None,
    sockets: Path | None = None,
    rates: bool = True,
    most: int = MOST,
) -> Measurement:
    """Return what is found between those pairs now.

    Call it with the same pairs before shaping and give that as `baseline` afterwards:
    pairs that then seem outside tolerance are measured a second time, which counts, so
    that one hiccup of a busy machine is not mistaken for the network. Round trips are
    measured from all sources at once, rates one after the other (four seconds or more
    each; `rates` false leaves them out). A rate that could not be measured is told, and
    kept with the reason. A pair is sent `most` probes at most, one each 5 ms.

    Raises CapabilityError when a host lacks python3 or iperf3.
    """
    reach = Reach(testbed=testbed, shell=shell, sockets=sockets)
    effort = _Effort(rates=rates, most=most)
    with progress.step(f"Measure {len(pairs)} links") as step:
        found = _measured(pairs, reach, step, effort)
        doubtful = _doubtful(found, baseline) if baseline else ()
        if doubtful:
            step.awaiting(f"a second look at {len(doubtful)} links")
            again = _measured(doubtful, reach, step, effort)
            found |= {key: replace(one, attempts=2) for key, one in again.items()}
    _tell_missing(found.values(), progress)
    return Measurement(pairs=tuple(found.values()))


Found = dict[tuple[str, str, str], MeasuredPair]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effort:
    """Whether rates are measured, and how many probes a pair is sent at most."""

    rates: bool
    most: int


def _tell_missing(several: Iterable[MeasuredPair], progress: Progress) -> None:
    """Tell which rates were asked for and not measured."""
    cut = 0
    for one in several:
        for pair, why in (
            (one.pair, one.why_not_there),
            (one.pair.turned, one.why_not_back),
        ):
            cut += why == CUT
            if why and why != CUT:
                ends = f"from `{pair.source}` to `{pair.destination}`"
                progress.warn(f"no rate was measured {ends}: {why}")
    if cut:
        progress.decision(f"rates of {cut} links are not measured: {CUT}")


def _doubtful(found: Found, baseline: Measurement) -> tuple[Pair, ...]:
    return tuple(
        one.pair
        for one in found.values()
        if not all(v.ok for v in verdicts(Measurement(pairs=(one,)), baseline))
    )


def _measured(
    pairs: Sequence[Pair], reach: Reach, step: Step, effort: _Effort
) -> Found:
    step.awaiting("round trips")
    trips = _all_trips(pairs, reach, effort.most)
    found = {}
    for pair in pairs:
        there = back = Rated()
        if effort.rates and (pair.there.rate or pair.back.rate):
            step.awaiting(f"rate {pair.source} - {pair.destination}")
            there, back = rates_between(pair, reach)
        found[pair.key] = MeasuredPair(
            pair=pair,
            trips=trips[pair.key],
            trips_back=trips[pair.turned.key],
            rate_there=there.bits,
            rate_back=back.bits,
            why_not_there=there.why_not,
            why_not_back=back.why_not,
        )
    return found


def probes(pair: Pair, most: int = MOST) -> int:
    """Return how many probes show the losses, copies and jitter asked of a pair.

    No more than `most`, of which 2 000 do not tell a share below 0.33 % from none.

    >>> from enos.units import Percent
    >>> lossy = Shaping(loss=Percent(value=5))
    >>> place = {"source": "a", "destination": "b", "network": "n"}
    >>> ends = {"address": "::1", "back_address": "::1"}
    >>> probes(Pair(**place, **ends, there=lossy, back=Shaping()))
    1000
    """
    ways = (pair.there, pair.back)
    rarest = min(
        (
            max(shares) / 100
            for shares in zip(*(_shares(way) for way in ways), strict=True)
            if max(shares)
        ),
        default=0.0,
    )
    fewest = SPREAD if any(way.jitter.ms for way in ways) else FEWEST
    if not rarest:
        return fewest
    wanted = EVENTS * worth(*ways) / rarest
    return min(most, max(fewest, math.ceil(wanted)))


def _shares(way: Shaping) -> tuple[float, ...]:
    return tuple(
        share.value for share in (way.loss, way.duplicate, way.corrupt, way.reorder)
    )


def _all_trips(
    pairs: Sequence[Pair], reach: Reach, most: int
) -> Mapping[tuple[str, str, str], Trips]:
    """Return the round trips of all pairs and of all pairs turned round."""
    from_source: dict[str, list[Pair]] = {}
    for pair in (*pairs, *(pair.turned for pair in pairs)):
        from_source.setdefault(pair.source, []).append(pair)

    def probe(host: Host) -> dict[tuple[str, str, str], Trips]:
        return _trips(host, from_source[host.name], reach, most)

    answers = on_each([reach.host(name) for name in from_source], probe)
    return {key: trips for answer in answers.values() for key, trips in answer.items()}


def _trips(
    host: Host, pairs: Sequence[Pair], reach: Reach, most: int
) -> dict[tuple[str, str, str], Trips]:
    counts = [probes(pair, most) for pair in pairs]
    count = max(counts)
    period = 1000 * (FAST if count > FEWEST else SLOW)
    slowest = max(_asked_ms(pair) for pair in pairs)
    patience = 1000 * PATIENCE + 2 * slowest
    several = zip(counts, pairs, strict=True)
    targets = (f"{number + 1},{pair.address}" for number, pair in several)
    done = reach.run(
        host.name,
        ("python3", "-", str(period), str(patience), *targets),
        stdin=standalone("prober.py"),
        timeout=60 + (count * period + patience) / 1000,
    )
    if not done.ok:
        raise CapabilityError(
            f"`{host.name}` cannot measure round trips",
            hint="python3 and the right to open raw sockets are needed there",
            details=done.stderr,
        )
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return {pair.key: _summary(pair, found[pair.address]) for pair in pairs}


def _summary(pair: Pair, found: Mapping[str, Any]) -> Trips:
    # The first probe also waited for the neighbour's address (ARP, RFC 4861).
    trips: list[float | None] = found["trips"][1:]
    early = overtaken_below(pair.there, pair.back)
    return Trips.of(trips, extra=found["extra"], early=early)


def _asked_ms(pair: Pair) -> float:
    spread = TAIL * (pair.there.jitter.ms + pair.back.jitter.ms)
    return pair.there.delay.ms + pair.back.delay.ms + spread
