"""What was asked against what was measured, with the tolerance stated. Pure.

Emulation adds to what the machines and their links do by themselves: where a baseline
was measured before, the expected round trip is what was asked plus the baseline.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

from enos.errors import EmulationError
from enos.netem.expected import (
    cut_off,
    lost,
    overtaken_below,
    replies,
    round_trip,
    worth,
)
from enos.netem.measurement import MeasuredPair, Measurement, Pair, Trips

RTT_MS, RTT_SHARE = 1.0, 0.02
JITTER_MS = 0.5
RATE_SHARE = 0.05
LOST_ANYWAY = 0.005  # share of packets that machines lose where no loss is asked
CONFIDENCE = 0.99
DEVIATIONS = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One quantity of one link.

    Attributes:
        quantity: `rtt` (median) and `jitter` (interquartile range) of round trips in
            ms; `loss`, `duplicate` and `reorder` of round trips in percent; `rate` in
            bit/s on the wire.
        asked: what the constraints come to for that quantity.
        baseline: measured before anything was emulated, None when it was not.
        measured: None when every probe was lost, or where a rate could not be measured.
        low: least measured value that is accepted; likewise `high` the greatest. For
            `loss`, the 99 % confidence interval of what was measured.
        note: why it is judged as it is, where that is not plain.

    """

    source: str
    destination: str
    network: str
    quantity: str
    asked: float
    baseline: float | None
    measured: float | None
    low: float
    high: float
    ok: bool
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def verdicts(
    measured: Measurement, baseline: Measurement | None = None
) -> tuple[Verdict, ...]:
    """Return a verdict for each quantity of each pair, in the order measured."""
    return tuple(
        verdict
        for one in measured.pairs
        for verdict in _of_pair(one, baseline.of(one.pair) if baseline else None)
    )


def require(several: Sequence[Verdict]) -> None:
    """Raise EmulationError that names the pairs whose verdict is bad, if there are."""
    bad = [verdict for verdict in several if not verdict.ok]
    if bad:
        worst = bad[0]
        raise EmulationError(
            f"{len(bad)} of {len(several)} measurements are outside tolerance, "
            f"first the {worst.quantity} from `{worst.source}` to "
            f"`{worst.destination}`: {_found(worst)} instead of "
            f"{_number(worst, worst.asked)}",
            hint="busy machines delay packets: try `enos tc --test` when they are idle",
            details="\n".join(" ".join(row) for row in table(bad)),
        )


HEADER = ("from", "to", "network", "what", "asked", "base", "measured", "range", "")


def table(several: Sequence[Verdict]) -> tuple[tuple[str, ...], ...]:
    """Return one row of text for each verdict, under `HEADER`."""
    return tuple(
        (
            one.source,
            one.destination,
            one.network,
            one.quantity,
            _number(one, one.asked),
            _number(one, one.baseline),
            _number(one, one.measured),
            f"{_number(one, one.low)} - {_number(one, one.high)}",
            ("ok" if one.ok else "OUTSIDE") + (f" ({one.note})" if one.note else ""),
        )
        for one in several
    )


def wilson(events: float, number: float) -> tuple[float, float]:
    """Return the 99 % confidence interval of a share, each end 0 to 1 (Wilson 1927).

    >>> low, high = wilson(10, 1000)
    >>> round(low, 4), round(high, 4)
    (0.0045, 0.0219)
    """
    if not number:
        return 0.0, 1.0
    share, square = events / number, DEVIATIONS**2
    centre = share + square / (2 * number)
    half = DEVIATIONS * math.sqrt(
        share * (1 - share) / number + square / (4 * number * number)
    )
    below = max(0.0, (centre - half) / (1 + square / number)) if events else 0.0
    above = (centre + half) / (1 + square / number) if events < number else 1.0
    return below, min(1.0, above)


def _of_pair(one: MeasuredPair, before: MeasuredPair | None) -> Iterator[Verdict]:
    base = before.trips if before else None
    yield from _of_trips(one.pair, one.trips, base)
    if one.trips_back:
        base = before.trips_back if before else None
        yield from _of_trips(one.pair.turned, one.trips_back, base)
    base_there, base_back = (
        (before.rate_there, before.rate_back) if before else (None, None)
    )
    if one.pair.there.rate:
        yield from _rate(one.pair, one.rate_there, base_there, one.why_not_there)
    if one.pair.back.rate:
        yield from _rate(one.pair.turned, one.rate_back, base_back, one.why_not_back)


def _of_trips(pair: Pair, trips: Trips, base: Trips | None) -> Iterator[Verdict]:
    loss = _loss(pair, trips, base)
    yield loss
    if cut_off(pair.there, pair.back):
        return  # a partition has no round trips
    yield _rtt(pair, trips, base)
    ways = (pair.there, pair.back)
    if any(way.jitter.ms for way in ways) and trips.middle is not None:
        yield _jitter(pair, trips, base)
    if any(way.duplicate.value for way in ways):
        yield _duplicate(pair, trips, base)
    if any(way.reorder.value for way in ways) and trips.sent > trips.lost:
        yield _reorder(pair, trips)


def _rtt(pair: Pair, trips: Trips, before: Trips | None) -> Verdict:
    base = before.median if before else None
    expected = round_trip(pair.there, pair.back)
    asked, off = expected.quantile(0.5), base or 0.0
    tolerance = max(RTT_MS, RTT_SHARE * (asked + off))
    part = _off_by(0.5, _independent(pair, trips))
    got = trips.median
    low = expected.quantile(0.5 - part) + off - tolerance
    high = expected.quantile(0.5 + part) + off + tolerance
    return Verdict(
        **_where(pair),
        quantity="rtt",
        asked=asked,
        baseline=base,
        measured=got,
        low=max(0.0, low),
        high=high,
        ok=got is not None and low <= got <= high,
        note="" if got is not None else "no reply",
    )


def _jitter(pair: Pair, trips: Trips, before: Trips | None) -> Verdict:
    base = before.middle if before else None
    expected = round_trip(pair.there, pair.back)
    part = _off_by(0.25, _independent(pair, trips))
    widest = expected.quantile(0.75 + part) - expected.quantile(0.25 - part)
    narrowest = expected.quantile(0.75 - part) - expected.quantile(0.25 + part)
    low, high = narrowest - JITTER_MS, widest + JITTER_MS + (base or 0.0)
    got = trips.middle or 0.0
    return Verdict(
        **_where(pair),
        quantity="jitter",
        asked=expected.quantile(0.75) - expected.quantile(0.25),
        baseline=base,
        measured=got,
        low=max(0.0, low),
        high=high,
        ok=low <= got <= high,
        note="width of the middle half",
    )


def _loss(pair: Pair, trips: Trips, before: Trips | None) -> Verdict:
    asked = lost(pair.there, pair.back)
    base = before.lost / before.sent if before else None
    fewer = worth(pair.there, pair.back)
    low, high = wilson(trips.lost / fewer, trips.sent / fewer)
    most = asked or LOST_ANYWAY
    # What would pass if nothing were lost at all is no proof of the loss.
    unproved = 0 < asked <= wilson(0, trips.sent / fewer)[1]
    blind = "a link that loses nothing would pass as well" if unproved else ""
    return Verdict(
        **_where(pair),
        quantity="loss",
        asked=100 * asked,
        baseline=None if base is None else 100 * base,
        measured=100 * trips.lost / trips.sent,
        low=100 * low,
        high=100 * high,
        ok=low <= most and asked <= high,
        note=f"99% interval of {trips.sent} probes" + ("; " + blind if blind else ""),
    )


def _duplicate(pair: Pair, trips: Trips, before: Trips | None) -> Verdict:
    mean, variance = replies(pair.there, pair.back)
    asked = mean - (1 - lost(pair.there, pair.back))
    half = DEVIATIONS * math.sqrt(variance / trips.sent) + 1 / trips.sent
    got = trips.extra / trips.sent
    return Verdict(
        **_where(pair),
        quantity="duplicate",
        asked=100 * asked,
        baseline=100 * before.extra / before.sent if before else None,
        measured=100 * got,
        low=100 * max(0.0, asked - half),
        high=100 * (asked + half),
        ok=abs(got - asked) <= half,
        note="replies that came again, of all probes",
    )


def _reorder(pair: Pair, trips: Trips) -> Verdict:
    short = overtaken_below(pair.there, pair.back) or 0.0
    asked = round_trip(pair.there, pair.back).share_below(short)
    came = trips.sent - trips.lost
    fewer = _repeated(max(w.reorder_correlation.value for w in (pair.there, pair.back)))
    low, high = wilson(trips.early / fewer, came / fewer)
    return Verdict(
        **_where(pair),
        quantity="reorder",
        asked=100 * asked,
        baseline=None,
        measured=100 * trips.early / came,
        low=100 * low,
        high=100 * high,
        ok=low <= asked <= high,
        note="round trips that overtook",
    )


def _rate(
    pair: Pair, got: float | None, base: float | None, why_not: str
) -> Iterator[Verdict]:
    if got is None and not why_not:
        return  # rates were left out
    way = pair.there
    asked = way.rate.bits if way.rate else 0.0
    arrives = (1 - way.loss.value / 100) * (1 - way.corrupt.value / 100)
    # Lost and doubled after the rate in user space, before it in netem: both will do.
    most = 1 + way.duplicate.value / 100
    low, high = asked * arrives * (1 - RATE_SHARE), asked * most * (1 + RATE_SHARE)
    # A link that is slower by itself cannot prove the rate, nor does it disprove it.
    slower = base is not None and base < asked
    # Nor can one be proved that lets nothing through; any other must be measured.
    ok = cut_off(way, pair.back)
    if got is not None:
        ok = got <= high and (slower or got >= low)
    yield Verdict(
        **_where(pair),
        quantity="rate",
        asked=asked,
        baseline=base,
        measured=got,
        low=0.0 if slower else low,
        high=high,
        ok=ok,
        note=_why(got, why_not, slower=slower),
    )


def _why(got: float | None, why_not: str, *, slower: bool) -> str:
    if got is None:
        return f"not measured: {why_not}"
    return "the machines alone are slower" if slower else ""


def _independent(pair: Pair, trips: Trips) -> float:
    """Return how many independent round trips those that came back are worth."""
    fewer = _repeated(max(w.delay_correlation.value for w in (pair.there, pair.back)))
    return max(1.0, (trips.sent - trips.lost) / fewer)


def _repeated(correlation: float) -> float:
    """Return how many draws tell as much as one would without that correlation."""
    return (100 + correlation) / (100 - correlation)


def _off_by(share: float, number: float) -> float:
    """Return how far the share below a quantile of a sample is from that share."""
    off = DEVIATIONS * math.sqrt(share * (1 - share) / number)
    return min(off, share - 1e-9, 0.5 - 1e-9 if share == 0.5 else 0.25 - 1e-9)  # noqa: PLR2004


def _where(pair: Pair) -> dict[str, str]:
    return {
        "source": pair.source,
        "destination": pair.destination,
        "network": pair.network,
    }


def _found(verdict: Verdict) -> str:
    if verdict.measured is None:
        return verdict.note or "nothing"
    return _number(verdict, verdict.measured)


def _number(verdict: Verdict, value: float | None) -> str:
    if value is None:
        return "-"
    match verdict.quantity:
        case "rtt" | "jitter":
            return f"{value:.2f}ms"
        case "rate":
            return f"{value / 1e6:.4g}mbit"
        case _:
            return f"{value:.3g}%"
