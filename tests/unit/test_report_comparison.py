from typing import Any

from enos.report.comparison import Compared, compared
from enos.report.readings import Link, Machine, Readings
from enos.report.runs import Run, Scenario


def rows(readings: Readings) -> dict[str, Compared]:
    return {row.title: row for row in compared(readings)}


def link(quantity: str, measured: float | None, *, ok: bool = True) -> Link:
    return Link(
        source="a",
        destination="b",
        network="api",
        quantity=quantity,
        asked=25.0,
        baseline=0.1,
        measured=measured,
        low=24.0,
        high=26.0,
        ok=ok,
    )


def scenario(*, ok: bool = True) -> Scenario:
    return Scenario(
        name="boot",
        plugin="NovaServers.boot",
        ok=ok,
        verdict="",
        durations=(1.0, 2.0),
        spans=((1.0, 2.0, True), (2.0, 4.0, ok)),
        slas=(),
        began=1.0,
        seconds=5.0,
    )


def event(*, ok: bool) -> dict[str, Any]:
    return {"what": "partition a | b", "kind": "partition", "at": 2.0, "ok": ok}


END = {"what": "heal what is left", "kind": "end", "at": 9.0, "ok": True}


def test_of_an_experiment_that_never_began_nothing_is_told() -> None:
    assert compared(Readings()) == ()


def test_links_are_told_by_quantity_and_one_bad_link_is_enough() -> None:
    good = (link("loss", 0.0), link("rtt", 25.2), link("rtt", 25.6))

    network = rows(Readings(links=good, backend="netem"))["Network"]
    assert network.ok is True
    assert network.there == (
        "emulated by netem",
        "round trip before: 0.1 ms",
        "loss before: 0.1 %",
    )
    assert network.measured == (
        "round trip 25.2 to 25.6 ms, 2 of 2 as asked",
        "loss 0 %, 1 of 1 as asked",
    )

    network = rows(Readings(links=(*good, link("rtt", None, ok=False))))["Network"]
    assert network.ok is False
    assert "round trip 25.2 to 25.6 ms, 2 of 3 as asked" in network.measured


def test_a_benchmark_is_as_asked_when_scenarios_and_events_were() -> None:
    def benchmark(run: Run) -> Compared:
        return rows(Readings(runs=(run,)))["Benchmark load, 10:00:00"]

    name = "bench-2026-11-21T10-00-00-load"
    good = benchmark(
        Run(name=name, scenarios=(scenario(),), events=(event(ok=True), END))
    )
    assert good.ok is True
    assert good.asked == ("1 scenario, 2 iterations", "1 event")
    assert good.there == ("NovaServers: 1",)
    assert good.measured == (
        "1 of 1 scenario as asked",
        "0 of 2 iterations failed",
        "1 of 1 event as asked",
    )

    bad = benchmark(Run(name=name, scenarios=(scenario(),), events=(event(ok=False),)))
    assert bad.ok is False
    assert benchmark(Run(name=name, scenarios=(scenario(ok=False),))).ok is False


def test_a_benchmark_without_results_has_no_verdict() -> None:
    run = Run(name="bench-x", scenarios=(), events=(event(ok=True),))

    (row,) = compared(Readings(runs=(run,)))

    assert row.ok is None
    assert row.measured[0] == "has not ended, or was cut short"


def test_what_was_not_measured_is_said() -> None:
    run = Run(name="x", scenarios=(scenario(),), unmeasured=("compute-1: 30 s",))

    (row,) = compared(Readings(runs=(run,)))

    assert row.measured[-1] == "not measured: compute-1: 30 s"


def test_of_many_machines_only_some_are_named() -> None:
    machines = tuple(Machine(name=f"compute-{n}") for n in range(40))
    demand = {"machines": [{"group": "edge", "roles": ["compute"], "number": 40}]}

    row = rows(Readings(machines=machines, resolved={"demand": demand}))["Machines"]

    assert row.asked == ("40 in edge: compute",)
    assert row.there[0] == "compute-0"
    assert row.there[-1] == "and 35 more"


def test_what_was_set_by_hand_was_asked_too() -> None:
    by_hand = {"src": "a", "dst": "b", "delay": "25ms", "symmetric": True}

    row = rows(Readings(by_hand=(by_hand,)))["Network"]

    assert row.asked == ("by hand: a ↔ b: delay 25ms",)


def test_quantities_are_told_in_the_units_they_were_asked_in() -> None:
    constraints = {
        "default_delay": {"ms": 12.5},
        "default_rate": {"bits": 1e8},
        "constraints": [
            {
                "src": "core",
                "dst": "edge",
                "loss": {"p": {"value": 1.0}, "r": {"value": 9.0}, "bad": None},
                "symmetric": True,
            },
            {"src": "edge", "dst": "core", "delay": {"ms": 5.0}},
        ],
    }

    row = rows(Readings(resolved={"constraints": constraints}))["Network"]

    assert row.asked == (
        "between groups: delay 12.5 ms, rate 100 Mbit/s",
        "core ↔ edge: loss p 1 %, r 9 %",
        "edge → core: delay 5 ms",
    )
