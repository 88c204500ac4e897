"""What was measured against what was asked."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enos.config.constraints import NetworkConstraints
from enos.errors import EmulationError
from enos.netem import (
    MeasuredPair,
    Measurement,
    Pair,
    Shaping,
    Trips,
    Verdict,
    pairs_to_measure,
    plan_emulation,
    require,
    table,
    verdicts,
)
from enos.netem.delayd import Lane, lane_of
from enos.netem.expected import overtaken_below
from enos.netem.rates import Rated, client, wire_rate
from enos.netem.userspace import Queue, lanes
from enos.netem.verdict import wilson
from enos.process import Completed
from enos.testbed import Host, Network, Nic, Testbed
from enos.units import Duration, GilbertElliott, Percent, Rate

LATE = Shaping(delay=Duration(ms=25))
NARROW = Shaping(delay=Duration(ms=25), rate=Rate.parse("100mbit"))


def pair(there: Shaping = LATE, back: Shaping = LATE) -> Pair:
    return Pair(
        source="a",
        destination="b",
        network="api",
        address="10.0.0.2",
        back_address="10.0.0.1",
        there=there,
        back=back,
    )


def found(
    *trips: float | None, of: Pair | None = None, rate: float | None = None
) -> Measurement:
    one = MeasuredPair(pair=of or pair(), trips=Trips.of(trips), rate_there=rate)
    return Measurement(pairs=(one,), facts={"backend": "netem"})


def rtt(measured: Measurement, baseline: Measurement | None = None) -> Verdict:
    (verdict,) = (v for v in verdicts(measured, baseline) if v.quantity == "rtt")
    return verdict


def test_a_round_trip_within_a_millisecond_is_right_and_the_baseline_counts() -> None:
    assert rtt(found(50.9)).ok
    assert not rtt(found(51.1)).ok
    assert rtt(found(51.1), found(0.2)).ok
    assert not rtt(found(48.9)).ok


def test_two_percent_of_a_long_round_trip_are_tolerated() -> None:
    far = Shaping(delay=Duration(ms=200))
    measured = found(407.0, of=pair(far, far))

    assert rtt(measured).ok
    assert (rtt(measured).low, rtt(measured).high) == (392, 408)


def test_the_median_decides_so_that_one_late_probe_does_not() -> None:
    assert rtt(found(50, 50, 50, 50, 90)).measured == 50


def test_a_link_without_any_reply_is_outside_unless_it_was_cut_on_purpose() -> None:
    several = verdicts(found(None, None))
    assert [(v.quantity, v.ok) for v in several] == [("loss", False), ("rtt", False)]

    cut = Shaping(loss=Percent(value=100))
    (loss,) = verdicts(found(*[None] * 20, of=pair(cut, cut)))
    assert loss.ok


def test_loss_of_both_directions_adds_up_and_must_be_inside_the_interval() -> None:
    lossy = Shaping(loss=Percent(value=10))
    trips = [*[None] * 190, *[0.1] * 810]

    loss = verdicts(found(*trips, of=pair(lossy, lossy)))[0]

    assert loss.asked == pytest.approx(19)
    assert loss.ok
    none_lost = verdicts(found(*[0.1] * 1000, of=pair(lossy, lossy)))[0]
    assert not none_lost.ok


@settings(deadline=None)  # machines may be busy
@given(st.integers(0, 300), st.integers(1, 300))
def test_an_interval_holds_the_share_and_stays_within_0_and_1(
    lost: int, more: int
) -> None:
    sent = lost + more
    low, high = wilson(lost, sent)

    assert 0 <= low <= lost / sent <= high <= 1


def quantity(name: str, measured: Measurement) -> Verdict:
    (verdict,) = (v for v in verdicts(measured) if v.quantity == name)
    return verdict


def drawn(ways: tuple[Shaping, Shaping], number: int = 2000) -> Measurement:
    """Return what probes find on a link that does exactly what is asked, simulated."""
    lanes = [lane_of(json.loads(lanes_of(way))[0], copies.append) for way in ways]
    trips: list[float | None] = []
    extra = 0
    for probe in range(number):
        arrivals = [0.0]
        for lane in lanes:
            arrivals = [t for start in arrivals for t in passed(lane, probe, start)]
        trips.append(1000 * min(arrivals) if arrivals else None)
        extra += max(0, len(arrivals) - 1)
    early = overtaken_below(*ways)
    summary = Trips.of(trips, extra=extra, early=early)
    return Measurement(pairs=(MeasuredPair(pair=pair(*ways), trips=summary),))


copies: list[bytes] = []


def lanes_of(way: Shaping) -> str:
    return lanes([Queue(number=7, shaping=way, sources=())])


def passed(lane: Lane, packet: int, start: float) -> list[float]:
    """Return when a packet, and a copy of it, leave a lane whole."""
    whole, found = bytes(8), []
    answer = lane.take(packet, start, whole)
    if answer:
        return [start] if answer[24:28] == b"\0\0\0\1" and len(answer) == 32 else []
    while lane.due() < float("inf"):
        due = lane.due()
        copies.clear()
        message = lane.release(due)
        found += [due] * (len(message) == 32)
        found += [due] * copies.count(whole)
    return found


FAR = {"delay": Duration(ms=25), "jitter": Duration(ms=5)}


@pytest.mark.parametrize(
    "way",
    [
        Shaping(**FAR),
        Shaping(**FAR, distribution="normal"),
        Shaping(**FAR, distribution="pareto", delay_correlation=Percent(50)),
        Shaping(**FAR, reorder=Percent(10), reorder_correlation=Percent(20)),
        Shaping(loss=GilbertElliott(p=Percent(2), r=Percent(20), bad=Percent(70))),
        Shaping(loss=Percent(10), loss_correlation=Percent(50)),
        Shaping(duplicate=Percent(10), corrupt=Percent(5), loss=Percent(2)),
    ],
    ids=str,
)
def test_a_link_that_does_what_is_asked_is_found_right(way: Shaping) -> None:
    several = verdicts(drawn((way, way), 4000))

    # Each is a 99 % interval: a fault of the formulas would miss by far more.
    for one in several:
        width = one.high - one.low
        assert one.measured is not None
        assert one.low - width / 2 <= one.measured <= one.high + width / 2
        assert abs(one.measured - one.asked) <= max(width, 1)


def test_another_spread_than_asked_is_outside() -> None:
    asked = Shaping(delay=Duration(ms=25), jitter=Duration(ms=10))
    steady = found(*[50.0] * 200, of=pair(asked, asked))

    assert rtt(steady).ok
    verdict = quantity("jitter", steady)
    assert (verdict.measured, verdict.ok) == (0.0, False)


def test_copies_that_do_not_come_are_outside() -> None:
    doubled = Shaping(duplicate=Percent(50))
    several = found(*[0.2] * 100, of=pair(doubled, doubled))

    verdict = quantity("duplicate", several)
    assert verdict.asked == pytest.approx(125)
    assert not verdict.ok


def test_overtaking_that_does_not_happen_is_outside() -> None:
    mixed = Shaping(delay=Duration(ms=20), reorder=Percent(25))
    several = found(*[40.0] * 100, of=pair(mixed, LATE))

    verdict = quantity("reorder", several)
    assert verdict.asked == pytest.approx(25)
    assert not verdict.ok


def test_bursts_widen_the_interval_of_a_loss() -> None:
    model = GilbertElliott(p=Percent(1), r=Percent(9))
    bursty, plain = Shaping(loss=model), Shaping(loss=Percent(10))
    trips = [*[None] * 130, *[0.1] * 870]

    assert not quantity("loss", found(*trips, of=pair(plain, Shaping()))).ok
    assert quantity("loss", found(*trips, of=pair(bursty, Shaping()))).ok


def test_a_packet_the_machines_lose_by_themselves_is_no_fault() -> None:
    few = found(*[None] * 4, *[50.0] * 996)
    many = found(*[None] * 20, *[50.0] * 980)

    assert quantity("loss", few).ok
    assert not quantity("loss", many).ok


def test_both_ends_have_verdicts_of_their_own() -> None:
    one = MeasuredPair(pair=pair(), trips=Trips.of([50]), trips_back=Trips.of([90]))
    several = verdicts(Measurement(pairs=(one,)))

    judged = [(v.source, v.destination, v.ok) for v in several if v.quantity == "rtt"]
    assert judged == [("a", "b", True), ("b", "a", False)]


def test_a_rate_before_or_after_the_loss_is_as_asked() -> None:
    lossy = Shaping(rate=Rate.parse("100mbit"), loss=Percent(10))
    rates = [
        quantity("rate", found(0.1, of=pair(lossy), rate=bits)).ok
        for bits in (90e6, 100e6, 84e6, 106e6)
    ]

    assert rates == [True, True, False, False]


def test_a_rate_within_five_percent_is_right() -> None:
    def rate(bits: float, base: float | None = None) -> Verdict:
        measured = found(50.0, of=pair(NARROW), rate=bits)
        before = found(0.1, rate=base) if base else None
        return verdicts(measured, before)[-1]

    assert rate(96e6).ok
    assert not rate(94e6).ok
    assert not rate(106e6).ok
    assert rate(60e6, base=70e6).ok
    assert rate(60e6, base=70e6).note == "the machines alone are slower"
    assert not rate(60e6, base=900e6).ok


def test_a_bad_verdict_is_an_error_that_names_the_pair() -> None:
    require(verdicts(found(50.0)))
    with pytest.raises(EmulationError, match=r"from `a` to `b`: 30\.00ms") as raised:
        require(verdicts(found(30.0)))
    assert "OUTSIDE" in raised.value.details


def test_the_table_shows_asked_baseline_and_measured_side_by_side() -> None:
    rows = table(verdicts(found(50.4), found(0.1)))

    assert rows[1][:7] == ("a", "b", "api", "rtt", "50.00ms", "0.10ms", "50.40ms")


def test_a_measurement_survives_json() -> None:
    way = Shaping(
        delay=Duration(ms=9),
        jitter=Duration(ms=1),
        distribution="normal",
        delay_correlation=Percent(5),
        loss=GilbertElliott(p=Percent(1), r=Percent(9), bad=Percent(70)),
        duplicate=Percent(1),
        reorder=Percent(2),
        reorder_correlation=Percent(3),
        corrupt=Percent(4),
        room=50,
    )
    one = MeasuredPair(
        pair=pair(NARROW, way),
        trips=Trips.of([50.4, None], extra=1),
        trips_back=Trips.of([1.0] * 60),
        rate_there=95e6,
        why_not_back="iperf3: no output",
    )
    measured = Measurement(pairs=(one,))

    assert Measurement.from_json(json.loads(json.dumps(measured.to_json()))) == measured


def printed(output: str, errors: str = "") -> Rated:
    done = Completed(argv=("iperf3",), returncode=0, stdout=output, stderr=errors)
    return wire_rate(pair(), done)


def bed(*groups: str) -> Testbed:
    hosts = tuple(
        Host(
            name=f"n{place}",
            address="-",
            groups=(group,),
            nics=(Nic(device="e", network="api", addresses=(f"10.0.0.{place}/24",)),),
        )
        for place, group in enumerate(groups, start=1)
    )
    network = Network(name="api", cidr="10.0.0.0/24", roles=("api",))
    return Testbed(provider="t", hosts=hosts, networks=(network,))


def test_one_pair_stands_for_each_two_groups_and_for_the_inside_of_one() -> None:
    testbed = bed("g1", "g1", "g2", "g2", "g3")
    plan = plan_emulation(NetworkConstraints(default_delay=Duration(ms=5)), testbed)

    chosen = pairs_to_measure(plan, testbed)

    assert [(p.source, p.destination, p.there.delay.ms) for p in chosen] == [
        ("n1", "n2", 0),
        ("n3", "n4", 0),
        ("n1", "n3", 5),
        ("n1", "n5", 5),
        ("n3", "n5", 5),
    ]
    assert len(pairs_to_measure(plan, testbed, every=True)) == 10


def test_fat_links_are_filled_by_many_connections_and_lossy_ones_by_udp() -> None:
    fat = Shaping(delay=Duration(ms=100), rate=Rate.parse("500mbit"))
    lossy = Shaping(rate=Rate.parse("10mbit"), loss=Percent(value=1))

    assert client(pair(fat, LATE))[:2] == ("timeout", "39")
    assert "-P 8" in " ".join(client(pair(fat, LATE)))
    assert "-u -b 11000000" in " ".join(client(pair(lossy)))


def test_the_rate_on_the_wire_counts_the_headers() -> None:
    output = {
        "start": {"test_start": {"protocol": "TCP"}, "tcp_mss_default": 1448},
        "end": {"sum_received": {"bits_per_second": 1448e3}},
    }

    assert printed(json.dumps(output)).bits == pytest.approx(1514e3)


def test_what_arrives_of_datagrams_counts_over_the_time_of_sending() -> None:
    output = {
        "start": {"test_start": {"protocol": "UDP"}},
        "end": {
            "sum_sent": {"seconds": 3.0, "bytes": 1400 * 3000},
            "sum_received": {"seconds": 3.5, "bytes": 1400 * 2700},
        },
    }

    assert printed(json.dumps(output)).bits == pytest.approx(2700 * 8 * 1442 / 3)


@pytest.mark.parametrize(
    ("output", "errors", "why"),
    [
        (
            '{"error": "unable to connect"}',
            "",
            "iperf3 on port 15201: unable to connect",
        ),
        ("", "", "iperf3: no output"),
        ("", "kex_exchange\nno route to host\n", "iperf3: no route to host"),
        ('{"start": {}, "end": {}}', "", "iperf3 ended without figures"),
    ],
)
def test_why_there_is_no_rate_is_kept(output: str, errors: str, why: str) -> None:
    assert printed(output, errors) == Rated(why_not=why)


def test_a_rate_that_could_not_be_measured_is_outside_with_its_reason() -> None:
    failed = MeasuredPair(
        pair=pair(NARROW), trips=Trips.of([50]), why_not_there="iperf3: no output"
    )

    *_, rate = verdicts(Measurement(pairs=(failed,)))

    assert (rate.quantity, rate.measured, rate.ok) == ("rate", None, False)
    assert rate.note == "not measured: iperf3: no output"
    with pytest.raises(EmulationError, match="iperf3: no output instead of 100mbit"):
        require([rate])


def test_a_rate_where_nothing_is_to_arrive_is_not_asked_for() -> None:
    gone = Shaping(rate=Rate.parse("1mbit"), loss=Percent(100))
    one = MeasuredPair(
        pair=pair(gone), trips=Trips.of([None] * 20), why_not_there="no packet"
    )

    loss, rate = verdicts(Measurement(pairs=(one,)))

    assert (loss.quantity, loss.ok) == ("loss", True)
    assert (rate.quantity, rate.measured, rate.ok) == ("rate", None, True)
    assert rate.note == "not measured: no packet"


def test_a_loss_too_small_for_the_probes_says_that_none_would_pass_too() -> None:
    rare = Shaping(loss=Percent(0.1))
    few = quantity("loss", found(*[0.1] * 2000, of=pair(rare, Shaping())))
    many = quantity("loss", found(*[0.1] * 20000, of=pair(rare, Shaping())))

    assert few.ok
    assert few.note == (
        "99% interval of 2000 probes; a link that loses nothing would pass as well"
    )
    assert not many.ok
    assert many.note == "99% interval of 20000 probes"
