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
from enos.netem.measurement import MeasuredPair, Measurement
from enos.netem.shaping import Shaping

RTT_MS, RTT_SHARE = 1.0, 0.02
RATE_SHARE = 0.05
CONFIDENCE = 0.99
DEVIATIONS = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
UNIFORM = math.sqrt(3)  # half-width of a uniform distribution over its deviation
MEDIAN = 1.7  # at most, standard error of a median over that of a mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One quantity of one link.

    Attributes:
        quantity: `rtt` in ms, `loss` of round trips in percent, or `rate` in bit/s on
            the wire.
        asked: by the constraints.
        baseline: measured before anything was emulated, None when it was not.
        measured: None when every probe was lost.
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
            f"`{worst.destination}`: {_number(worst, worst.measured)} instead of "
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


def wilson(lost: int, sent: int) -> tuple[float, float]:
    """Return the 99 % confidence interval of a share, each end 0 to 1 (Wilson 1927).

    >>> low, high = wilson(10, 1000)
    >>> round(low, 4), round(high, 4)
    (0.0045, 0.0219)
    """
    if not sent:
        return 0.0, 1.0
    share, square = lost / sent, DEVIATIONS**2
    centre = share + square / (2 * sent)
    half = DEVIATIONS * math.sqrt(
        share * (1 - share) / sent + square / (4 * sent * sent)
    )
    below = max(0.0, (centre - half) / (1 + square / sent)) if lost else 0.0
    above = (centre + half) / (1 + square / sent) if lost < sent else 1.0
    return below, min(1.0, above)


def _of_pair(one: MeasuredPair, before: MeasuredPair | None) -> Iterator[Verdict]:
    loss = _loss(one, before)
    yield loss
    if loss.asked < 100:  # noqa: PLR2004 (a partition has no round trips)
        yield _rtt(one, before)
    ways = (
        (one.rate_there, one.pair.there, before.rate_there if before else None, False),
        (one.rate_back, one.pair.back, before.rate_back if before else None, True),
    )
    for rate, asked, base, turned in ways:
        if rate is not None and asked.rate:
            yield _rate(one, (rate, asked, base), turned=turned)


def _rtt(one: MeasuredPair, before: MeasuredPair | None) -> Verdict:
    there, back = one.pair.there, one.pair.back
    asked = there.delay.ms + back.delay.ms
    base = before.trips.median if before else None
    expected = asked + (base or 0.0)
    tolerance = max(RTT_MS, RTT_SHARE * expected)
    back_again = one.trips.sent - one.trips.lost
    if back_again:
        spread = math.hypot(there.jitter.ms, back.jitter.ms) / UNIFORM
        tolerance += DEVIATIONS * MEDIAN * spread / math.sqrt(back_again)
    got, low, high = one.trips.median, expected - tolerance, expected + tolerance
    return Verdict(
        **_where(one),
        quantity="rtt",
        asked=asked,
        baseline=base,
        measured=got,
        low=max(0.0, low),
        high=high,
        ok=got is not None and low <= got <= high,
        note="" if got is not None else "no reply",
    )


def _loss(one: MeasuredPair, before: MeasuredPair | None) -> Verdict:
    asked = _both_ways(one.pair.there, one.pair.back)
    base = before.trips.lost / before.trips.sent if before else None
    low, high = wilson(one.trips.lost, one.trips.sent)
    return Verdict(
        **_where(one),
        quantity="loss",
        asked=100 * asked,
        baseline=None if base is None else 100 * base,
        measured=100 * one.trips.lost / one.trips.sent,
        low=100 * low,
        high=100 * high,
        ok=low <= asked <= high,
        note=f"99% interval of {one.trips.sent} probes",
    )


def _rate(
    one: MeasuredPair, way: tuple[float, Shaping, float | None], *, turned: bool
) -> Verdict:
    got, shaping, base = way
    asked = shaping.rate.bits if shaping.rate else 0.0
    wanted = asked * (1 - shaping.loss.value / 100)  # what is lost does not arrive
    low, high = wanted * (1 - RATE_SHARE), wanted * (1 + RATE_SHARE)
    # A link that is slower by itself cannot prove the rate, nor does it disprove it.
    slower = base is not None and base < asked
    where = _where(one)
    if turned:
        where["source"], where["destination"] = where["destination"], where["source"]
    return Verdict(
        **where,
        quantity="rate",
        asked=asked,
        baseline=base,
        measured=got,
        low=0.0 if slower else low,
        high=high,
        ok=got <= high and (slower or got >= low),
        note="the machines alone are slower" if slower else "",
    )


def _both_ways(there: Shaping, back: Shaping) -> float:
    return 1 - (1 - there.loss.value / 100) * (1 - back.loss.value / 100)


def _where(one: MeasuredPair) -> dict[str, str]:
    pair = one.pair
    return {
        "source": pair.source,
        "destination": pair.destination,
        "network": pair.network,
    }


def _number(verdict: Verdict, value: float | None) -> str:
    if value is None:
        return "-"
    match verdict.quantity:
        case "rtt":
            return f"{value:.2f}ms"
        case "loss":
            return f"{value:.3g}%"
        case _:
            return f"{value / 1e6:.4g}mbit"
