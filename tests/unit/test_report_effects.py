"""What an event is about is read from its words as the conductor read the file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from enos.config.events import Event, Heal, LinkChange, Partition
from enos.config.timeline import load_timeline
from enos.demand import Demand, MachineDemand
from enos.report.effects import Link, affected

DEMAND = Demand(
    machines=tuple(
        MachineDemand(group=group, roles=(role,), number=1)
        for group, role in (
            ("core", "control"),
            ("edge1", "compute"),
            ("edge2", "bench"),
        )
    )
)
GROUPS = tuple(machine.group for machine in DEMAND.machines)
EVENTS = (
    "partition core|edge1",
    "partition edge[1-2]",
    "partition core",
    "partition core|edge[1-2]",
    "partition control|compute",
    "heal core|edge1",
    "heal edge2",
    "heal edge[1-2]",
    "heal",
    "delay 50ms core|edge1",
    "delay 50ms core",
    "delay 50ms control",
    "delay 50ms",
    "delay 50ms jitter 5ms distribution normal",
    "delay 50ms jitter 5ms distribution normal edge[1-2]",
    "delay 50ms loss 1% rate 1gbit core|edge[1-2]",
    "{delay: 50ms, src: core, dst: edge1}",
    "{delay: 50ms, src: core, dst: 'edge[1-2]'}",
    "{delay: 50ms, src: core, dst: edge1, symmetric: false}",
    "{loss: {p: 1%, r: 25%}, between: [core, edge1]}",
    "{loss: {p: 1%, r: 25%}}",
)


def pairs(event: Event) -> Iterator[tuple[str, str]]:
    match event:
        case LinkChange():
            yield from ((spec.src, spec.dst) for spec in event.specs)
        case Partition() | Heal():
            yield from event.pairs


@pytest.mark.parametrize("text", EVENTS)
def test_the_words_of_an_event_name_the_links_it_changes(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.yml"
    file.write_text(f"events:\n  - at 60s: {text}\n")
    (event,) = load_timeline(file, DEMAND).events

    told = {"kind": event.kind, "what": event.text, "hosts": ()}

    wanted = {Link(frozenset(pair)) for pair in pairs(event)}
    assert affected(told, GROUPS) == wanted, event.text
