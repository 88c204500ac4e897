"""From the files of an experiment, or of its archive, to values. Pure.

What is missing is left empty, what cannot be read is noted: a report is made of
whatever an experiment got to.
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from enos.report.runs import Event, Run, moment, number, plots_of, read_run
from enos.report.timeline import Plot

WANTED = (
    "journal.jsonl",
    "resolved.json",
    "images.json",
    "manifest.json",
    "results/machines.json",
    "results/guest.json",
    "results/tc.json",
    "results/tc-baseline.json",
    "results/*/results.json",
    "results/*/results.csv",
    "results/*/events.json",
    "results/*/metrics.json",
    "results/*/measures.json",
    "results/measures.json",
)
"""The files a report is made of, as patterns of fnmatch(3)."""

_WRONG = (ValueError, LookupError, TypeError, AttributeError, OverflowError, csv.Error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that was there; what nobody asked it is empty."""

    name: str
    address: str = ""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    system: str = ""
    kernel: str = ""
    processors: str = ""
    memory: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A quantity of a link: asked, before, measured, accepted; ms, percent or bit/s."""

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


@dataclass(slots=True, kw_only=True)
class Readings:
    """Everything that could be read.

    Attributes:
        journal: events with `time`, `kind` and `what`.
        plots: measures of the machines.
        by_hand: constraints of `enos tc --set …`, in the words of the file.
        resolved: the experiment with its defaults.
        notes: what is there and could not be read.

    """

    journal: tuple[Event, ...] = ()
    resolved: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    guest: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machines: tuple[Machine, ...] = ()
    backend: str = ""
    by_hand: tuple[Mapping[str, Any], ...] = ()
    links: tuple[Link, ...] = ()
    runs: tuple[Run, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()


def wanted(path: str) -> bool:
    """Tell whether a file belongs to a report; paths are relative, with slashes."""
    return any(fnmatchcase(path, pattern) for pattern in WANTED)


def read(material: Mapping[str, str]) -> Readings:
    """Return what the files say; of a path → text."""
    notes: list[str] = []

    def reading(path: str, reader: Callable[[str], Any], default: Any) -> Any:  # noqa: ANN401 - whatever the reader returns
        if path not in material:
            return default
        try:
            return reader(material[path])
        except _WRONG as bad:
            notes.append(f"{path} cannot be read: {type(bad).__name__}: {bad}")
            return default

    machines, versions = reading("results/machines.json", _machines, ((), {}))
    backend, links, by_hand = reading("results/tc.json", _links, ("", (), ()))
    manifest = reading("manifest.json", _versions, {})
    runs = [
        read_run(name, lambda path, reader: reading(path, reader, ()))
        for name in _runs(material)
    ]
    return Readings(
        journal=reading("journal.jsonl", _journal, ()),
        resolved=reading("resolved.json", _resolved, {}),
        images=reading("images.json", _images, {}),
        guest=reading("results/guest.json", _mapping, {}),
        versions={**manifest, **versions},
        machines=machines,
        backend=backend,
        by_hand=by_hand,
        links=links,
        runs=tuple(run for run in runs if run.scenarios or run.events),
        plots=reading("results/measures.json", plots_of, ()),
        notes=tuple(notes),
    )


def _runs(material: Iterable[str]) -> list[str]:
    found = {path.split("/")[1] for path in material if path.count("/") == 2}  # noqa: PLR2004 - results/RUN/file
    return sorted(found)


def _journal(text: str) -> tuple[Event, ...]:
    found = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a line cut off by a crash
        if isinstance(event, dict) and {"time", "kind", "what"} <= event.keys():
            found.append(_event(event))
    return tuple(found)


def _event(plain: Event) -> Event:
    """Return an event of the journal in the types it was written in."""
    texts = ("kind", "what", "phase", "host", "status")
    return {
        **{key: str(plain.get(key) or "") for key in texts},
        "time": moment(plain["time"]),
        "seconds": moment(plain.get("seconds") or 0.0),
    }


def _mapping(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def _resolved(text: str) -> dict[str, Any]:
    plain = _mapping(text)
    demand, constraints = plain.get("demand") or {}, plain.get("constraints") or {}
    return plain | {
        "demand": {"machines": [_wish(one) for one in demand.get("machines", ())]},
        "constraints": dict(constraints)
        | {"constraints": [dict(one) for one in constraints.get("constraints", ())]},
    }


def _wish(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {**plain, "roles": list(plain.get("roles") or ())}


def _images(text: str) -> dict[str, Any]:
    plain = _mapping(text)
    return plain | {"names": list(plain.get("names") or ())}


def _versions(text: str) -> dict[str, str]:
    return {str(k): str(v) for k, v in json.loads(text)["versions"].items()}


def _machines(text: str) -> tuple[tuple[Machine, ...], dict[str, str]]:
    plain = json.loads(text)
    machines = tuple(_machine(host) for host in plain["hosts"])
    return machines, {str(k): str(v) for k, v in plain["versions"].items()}


def _machine(plain: Mapping[str, Any]) -> Machine:
    texts = ("name", "address", "system", "kernel", "processors", "memory")
    return Machine(
        **{key: str(plain.get(key, "")) for key in texts},
        groups=tuple(map(str, plain["groups"])),
        roles=tuple(map(str, plain["roles"])),
    )


def _links(
    text: str,
) -> tuple[str, tuple[Link, ...], tuple[Mapping[str, Any], ...]]:
    plain = json.loads(text)
    links = tuple(_link(one) for one in plain["verdicts"])
    return (
        str(plain["backend"]),
        links,
        tuple(dict(one) for one in plain.get("set", ())),
    )


def _link(plain: Mapping[str, Any]) -> Link:
    def known(key: str) -> float | None:
        return None if plain.get(key) is None else number(plain[key])

    return Link(
        source=str(plain["source"]),
        destination=str(plain["destination"]),
        network=str(plain.get("network", "")),
        quantity=str(plain["quantity"]),
        asked=number(plain["asked"]),
        low=number(plain["low"]),
        high=number(plain["high"]),
        baseline=known("baseline"),
        measured=known("measured"),
        ok=bool(plain["ok"]),
        note=str(plain.get("note", "")),
    )
