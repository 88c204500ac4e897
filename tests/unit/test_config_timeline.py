"""Events are read in each of their spellings, and refused where they are wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.config.constraints import QUANTITIES, ConstraintSpec
from enos.config.evententry import UNITS, moment
from enos.config.events import Heal, LinkChange, Partition, Switch, Timeline
from enos.config.source import Document, read
from enos.config.timeline import load_timeline, timeline
from enos.config.yamltree import tree
from enos.demand import Demand, MachineDemand
from enos.errors import ConfigError
from enos.units import Duration, GilbertElliott, Percent, Rate

DEMAND = Demand(
    machines=tuple(
        MachineDemand(group=f"grp{number}", roles=(role,), number=1)
        for number, role in enumerate(("control", "compute", "compute"), 1)
    )
)


def of(text: str, folder: Path) -> Timeline:
    file = folder / "events.yml"
    file.write_text(text, encoding="utf-8")
    return load_timeline(file, DEMAND)


ALIKE = (
    "events: 'at 60s: delay 100ms grp1|grp3; at 2min: partition grp1|grp3; 3min: heal'",
    """
events: |
  60s: delay 100ms grp1|grp3
  2 min: partition grp1 | grp3
  3min: heal
""",
    "60s: delay 100ms between grp1|grp3\nat 120s: partition grp1,grp3\nat 180s: heal",
    """
events:
  at 60s: {delay: 100ms, between: [grp1, grp3]}
  at 120s: {partition: [grp1, grp3]}
  at 180s: {heal: all}
""",
    """
events:
  - at 180s: heal
  - {at: 60s, between: grp1|grp3, delay: 0.1s}
  - "at 120s: partition grp1|grp3"
""",
    """
events:
  timeline:
    - at 60s: delay 100ms grp1|grp3
    - at 120s: partition grp1|grp3
      at 180s: heal
""",
)


@pytest.mark.parametrize("text", ALIKE)
def test_all_spellings_say_the_same(text: str, tmp_path: Path) -> None:
    change, partition, heal = of(text, tmp_path).events

    assert isinstance(change, LinkChange)
    assert change.specs == (
        ConstraintSpec(src="grp1", dst="grp3", delay=Duration(100), symmetric=True),
    )
    assert partition == Partition(
        at=120.0, text="partition grp1|grp3", pairs=(("grp1", "grp3"),)
    )
    assert heal == Heal(at=180.0, text="heal")
    assert change.at == 60.0


def test_an_event_takes_every_quantity_of_a_constraint(tmp_path: Path) -> None:
    values = {
        "delay": "10ms", "jitter": "2ms", "distribution": "normal",
        "delay_correlation": "25%", "loss": "{p: 1%, r: 10%}",
        "loss_correlation": "5%", "duplicate": "1%", "reorder": "2%",
        "reorder_correlation": "3%", "corrupt": "0.1%", "rate": "5mbit", "limit": "99",
    }  # fmt: skip
    assert set(values) == set(QUANTITIES)
    listed = ", ".join(f"{key}: {value}" for key, value in values.items())

    (event,) = of(f"events: [{{at: 5s, {listed}}}]", tmp_path).events

    assert isinstance(event, LinkChange)
    pairs = [(spec.src, spec.dst) for spec in event.specs]
    assert pairs == [("grp1", "grp2"), ("grp1", "grp3"), ("grp2", "grp3")]
    first = event.specs[0]
    assert None not in [getattr(first, name) for name in QUANTITIES]
    assert first.rate == Rate.parse("5mbit")
    assert first.loss == GilbertElliott(p=Percent(1), r=Percent(10))


def test_a_change_may_be_for_one_direction_and_one_network(tmp_path: Path) -> None:
    text = "- {at: 1s, src: grp1, dst: 'grp[2-3]', delay: 5ms, network: api}"
    (event,) = of(f"events:\n{text}", tmp_path).events

    assert isinstance(event, LinkChange)
    assert [(spec.dst, spec.symmetric, spec.network) for spec in event.specs] == [
        ("grp2", False, "api"),
        ("grp3", False, "api"),
    ]


def test_a_group_alone_is_cut_off_from_all_others(tmp_path: Path) -> None:
    (event,) = of("at 1s: partition grp2", tmp_path).events

    assert isinstance(event, Partition)
    assert event.pairs == (("grp2", "grp1"), ("grp2", "grp3"))


def test_machines_and_services_are_switched_by_name(tmp_path: Path) -> None:
    text = "at 1s: stop compute-1\nat 2s: pause nova-compute on grp2|compute-2"
    machine, service = of(text, tmp_path).events

    assert machine == Switch(
        at=1.0, text="stop compute-1", verb="stop", name="compute-1"
    )
    assert isinstance(service, Switch)
    assert service.on == ("grp2", "compute-2")


def test_the_scenario_that_starts_the_clock_is_named_beside_the_events(
    tmp_path: Path,
) -> None:
    found = of("events: {from: boot, timeline: [at 1s: heal]}", tmp_path)

    assert found.origin == "boot"
    assert len(found.events) == 1


def test_events_of_one_moment_keep_the_order_of_the_file(tmp_path: Path) -> None:
    text = "events: ['at 5s: heal', 'at 1s: partition grp1', 'at 5s: partition grp2']"

    assert [event.text for event in of(text, tmp_path).events] == [
        "partition grp1",
        "heal",
        "partition grp2",
    ]


def test_a_file_of_events_that_is_wrong_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failed:
        of("events:\n  - at 1s: partition grp1|grp7\n", tmp_path)

    assert "events.yml:2:" in failed.value.details
    assert "no group or role is called `grp7`" in failed.value.details


def test_a_bare_list_of_events_is_told_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failed:
        of("- at 10s: heal\n", tmp_path)

    assert "put the events under the key `events`" in failed.value.details


def test_a_range_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failed:
        of("events: '5s: partition ['", tmp_path)

    assert "`[` is not a range" in failed.value.details


@pytest.mark.parametrize("text", ["events: {10ms: ''}", "events: {10ms: ' '}"])
def test_a_moment_at_which_nothing_happens_is_a_problem(
    text: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as failed:
        of(text, tmp_path)

    assert "nothing is said to happen at 10ms" in failed.value.details


@pytest.mark.parametrize("verb", ["partition", "heal", "delay: 5ms, between"])
@pytest.mark.parametrize("none", ["[]", "''", "','"])
def test_an_event_that_names_no_group_is_a_problem(
    verb: str, none: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as failed:
        of(f"events: [{{at: 5s, {verb}: {none}}}]", tmp_path)

    assert "no group is named: write `grp1|grp2`" in failed.value.details


def test_a_line_that_names_no_group_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failed:
        of("at 5s: partition ,", tmp_path)

    assert "no group is named" in failed.value.details


@given(st.floats(0, 1e6), st.sampled_from(sorted(UNITS)))
def test_a_moment_is_its_number_of_seconds(number: float, unit: str) -> None:
    text = f"{number:.6f}"

    assert moment(f"{text}{unit}") == pytest.approx(float(text) * UNITS[unit])
    assert moment(f" {text} {unit} ") == pytest.approx(float(text) * UNITS[unit])


SAID = "at 5s 5s: heal partition stop on delay 10ms grp1|grp2 grp9 loss | ; : between"
WORDS = st.sampled_from([*SAID.split(), "{}", "[", "12"])


@given(st.lists(WORDS, max_size=8).map(" ".join))
def test_a_line_is_an_event_or_a_problem_with_a_place(line: str) -> None:
    text = f'events:\n  - "{line}"\n'
    document = Document(
        path=Path("x.yml"), text=text, value={"events": [line]}, tree=tree(text, {})
    )

    found, problems = timeline(document, DEMAND, ("grp1", "grp2", "grp3"))

    assert found.events or problems or not line.strip(" ;")
    assert all(one.position.line == 2 for one in problems)


def test_reading_again_what_an_event_is_called_gives_the_same(tmp_path: Path) -> None:
    lines = (
        "at 1s: delay 5ms loss 1% grp1|grp2",
        "at 2s: partition grp1|grp3",
        "at 3s: heal grp1|grp3",
        "at 4s: stop nova-compute on grp2",
        "at 5s: start nova-compute on grp2",
    )
    once = of("\n".join(lines), tmp_path)
    again = "\n".join(f"at {event.at:g}s: {event.text}" for event in once.events)

    assert of(again, tmp_path) == once
    assert read(tmp_path / "events.yml").text == again
