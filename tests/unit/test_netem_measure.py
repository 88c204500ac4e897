"""What `measure` asks of the hosts, and when it looks twice."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from enos.config.constraints import NetworkConstraints
from enos.errors import CapabilityError, ProcessError
from enos.netem import (
    Measurement,
    Pair,
    Shaping,
    measure,
    pairs_to_measure,
    plan_emulation,
)
from enos.netem.measure import probes
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing.recording import Answer, Call, RecordingProgress, RecordingShell
from enos.units import Duration, GilbertElliott, Percent, Rate


def node(number: int, *groups: str) -> Host:
    nic = Nic(device="eth0", network="api", addresses=(f"10.0.0.{number}/24",))
    return Host(name=f"n{number}", address=f"n{number}", groups=groups, nics=(nic,))


BED = Testbed(
    provider="t",
    hosts=(node(1, "a"), node(2, "b")),
    networks=(Network(name="api", cidr="10.0.0.0/24", roles=("api",)),),
)
LATE = NetworkConstraints(default_delay=Duration(ms=5))
NARROW = NetworkConstraints(default_rate=Rate.parse("10mbit"))


def trips(*values: float | None, extra: int = 0) -> Answer:
    found = {"trips": [90.0, *values], "extra": extra}
    return Answer(stdout=json.dumps({"10.0.0.1": found, "10.0.0.2": found}))


def answered(*several: Answer) -> RecordingShell:
    """Return a shell whose hosts find these round trips, one after the other."""
    shell = RecordingShell()
    for host in ("n1", "n2"):
        shell.script(f"*root@{host}*python3*", *several)
    return shell


def iperf(bits: float) -> Answer:
    output = {
        "start": {"test_start": {"protocol": "TCP"}, "tcp_mss_default": 1448},
        "end": {"sum_received": {"bits_per_second": bits}},
    }
    return Answer(stdout=json.dumps(output))


def measured(
    shell: RecordingShell,
    asked: NetworkConstraints = LATE,
    baseline: Measurement | None = None,
) -> Measurement:
    pairs = pairs_to_measure(plan_emulation(asked, BED), BED)
    return measure(pairs, BED, shell, RecordingProgress(), baseline=baseline)


def test_the_first_probe_waits_for_the_neighbour_and_is_left_out() -> None:
    shell = answered(trips(10.1, None, 10.3))

    (one,) = measured(shell).pairs

    assert (one.trips.sent, one.trips.lost) == (3, 1)
    assert (one.trips.low, one.trips.high) == (10.1, 10.3)
    (call,) = [one for one in shell.calls if "root@n1" in one.line]
    assert "python3 - 20.0 1020.0 21,10.0.0.2" in call.line
    assert "def hurry" in call.stdin


def test_a_doubtful_link_is_measured_once_more_and_that_counts() -> None:
    shell = answered(trips(0.1), trips(60.0), trips(10.2))
    before = measured(shell)

    (one,) = measured(shell, baseline=before).pairs

    assert (one.trips.median, one.attempts) == (10.2, 2)


def test_a_link_that_is_right_is_measured_once() -> None:
    shell = answered(trips(0.1), trips(10.0))
    before = measured(shell)

    (one,) = measured(shell, baseline=before).pairs

    assert one.attempts == 1
    assert len(shell.calls) == 4


def test_round_trips_are_measured_from_both_ends() -> None:
    shell = RecordingShell()
    shell.script("*root@n1*python3*", trips(10.0, 10.2))
    shell.script("*root@n2*python3*", trips(10.1, None, extra=3))

    (one,) = measured(shell).pairs

    assert one.trips.median == 10.1
    assert one.trips_back
    assert (one.trips_back.lost, one.trips_back.extra) == (1, 3)


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({}, 20),
        ({"delay": Duration(ms=5), "jitter": Duration(ms=1)}, 200),
        ({"duplicate": Percent(5)}, 1000),
        ({"loss": Percent(50), "corrupt": Percent(10)}, 500),
        ({"loss": GilbertElliott(p=Percent(10), r=Percent(10))}, 900),
        ({"loss": Percent(0.01)}, 2000),
    ],
)
def test_there_are_enough_probes_to_see_the_rarest_thing_asked(
    asked: dict[str, Any], number: int
) -> None:
    place = {"source": "a", "destination": "b", "network": "n"}
    ends = {"address": "::1", "back_address": "::2"}

    found = probes(Pair(**place, **ends, there=Shaping(), back=Shaping(**asked)))

    assert found == pytest.approx(number, abs=1)


def test_a_rate_is_measured_in_each_direction_it_is_asked_for() -> None:
    shell = RecordingShell()
    shell.script("*python3*", trips(0.1))
    shell.script("*iperf3 -J*", iperf(9.5e6), iperf(9.6e6))

    (one,) = measured(shell, NARROW).pairs

    assert one.rate_there == pytest.approx(9.5e6 * 1514 / 1448)
    assert one.rate_back == pytest.approx(9.6e6 * 1514 / 1448)
    clients = [line for line in shell.lines if "iperf3 -J" in line]
    assert ["root@n1" in line for line in clients] == [True, False]


def test_a_host_without_iperf3_is_named() -> None:
    shell = RecordingShell()
    shell.script("*python3*", trips(0.1))
    shell.on("*iperf3 -J*", returncode=127)

    with pytest.raises(CapabilityError, match="`n1` cannot measure a rate"):
        measured(shell, NARROW)


def test_a_host_without_python_is_named() -> None:
    shell = RecordingShell()
    shell.on("*python3*", returncode=127, stderr="python3: not found")

    with pytest.raises(CapabilityError, match="`n1` cannot measure round trips"):
        measured(shell)


def told(shell: RecordingShell, asked: NetworkConstraints) -> RecordingProgress:
    """Return what is told of a measurement without any rate that fails nothing else."""
    progress = RecordingProgress()
    pairs = pairs_to_measure(plan_emulation(asked, BED), BED)
    (one,) = measure(pairs, BED, shell, progress).pairs
    assert (one.rate_there, one.rate_back) == (None, None)
    assert one.why_not_there
    assert one.why_not_there == one.why_not_back
    assert one.trips.sent == 1
    return progress


def test_a_rate_that_cannot_be_had_is_told_and_the_rest_is_kept() -> None:
    shell = RecordingShell()
    shell.script("*python3*", trips(0.1))
    shell.on("*iperf3 -J*", stdout='{"error": "no route"}', returncode=1)

    assert told(shell, NARROW).warnings == [
        f"no rate was measured from {ends}: iperf3 on port 15201: no route"
        for ends in ("`n1` to `n2`", "`n2` to `n1`")
    ]


def late(call: Call) -> Answer:
    message = "`ssh` did not end within 69 s"
    raise ProcessError(message, argv=call.argv)


@pytest.mark.parametrize(
    ("pattern", "answer", "why"),
    [
        ("*iperf3 -J*", late, "`ssh` did not end within 69 s"),
        ("*iperf3 -J*", Answer(returncode=124), "iperf3 did not end within 35 s"),
        ("*sh -s*", Answer(returncode=1), "its server does not start"),
    ],
)
def test_a_measurement_of_a_rate_that_fails_ends_no_other(
    pattern: str, answer: Answer | Callable[[Call], Answer], why: str
) -> None:
    shell = RecordingShell()
    shell.script("*python3*", trips(0.1))
    shell.script(pattern, answer)

    warnings = told(shell, NARROW).warnings

    assert [one.partition(": ")[2] for one in warnings] == [why, why]


@pytest.mark.parametrize(
    ("client", "ended"),
    [
        (Answer(stdout='{"error": "no route"}', returncode=1), 2),
        (Answer(returncode=124), 2),
        (late, 2),
        (iperf(9.5e6), 0),
    ],
)
def test_a_server_no_client_came_to_is_ended(
    client: Answer | Callable[[Call], Answer], ended: int
) -> None:
    shell = RecordingShell()
    shell.script("*python3*", trips(0.1))
    shell.on("*sh -s*", stdout="4711\n")
    shell.script("*iperf3 -J*", client)

    measured(shell, NARROW)

    kills = [call for call in shell.calls if 'kill "$1"' in call.stdin]
    assert len(kills) == ended
    assert all(call.line.endswith("'sh -s 4711'") for call in kills)


def test_no_rate_is_measured_where_nothing_is_to_arrive() -> None:
    shell = RecordingShell()
    shell.script("*python3*", trips(None))
    cut = NetworkConstraints(
        default_rate=Rate.parse("10mbit"), default_loss=Percent(100)
    )

    progress = told(shell, cut)

    assert progress.warnings == []
    assert progress.decisions == [
        "rates of 2 links are not measured: no packet is to arrive"
    ]
    assert not [line for line in shell.lines if "iperf3" in line]


def test_more_probes_may_be_asked_for_where_a_share_is_small() -> None:
    shell = answered(trips(0.1))
    rare = NetworkConstraints(default_loss=Percent(0.5))
    pairs = pairs_to_measure(plan_emulation(rare, BED), BED)

    measure(pairs, BED, shell, RecordingProgress(), most=20_000)

    assert any("10001,10.0.0.2" in line for line in shell.lines)
