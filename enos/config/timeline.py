"""Reading the section `events` of an experiment file, or a file of nothing else."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from enos.config.constraints import QUANTITIES, ConstraintSpec, expand, pairs
from enos.config.evententry import EventEntry, TimelineEntry
from enos.config.eventlines import Unclear, written
from enos.config.events import (
    VERBS,
    Event,
    Heal,
    LinkChange,
    Pairs,
    Partition,
    Switch,
    Timeline,
)
from enos.config.links import spec_of
from enos.config.sections import Constraint
from enos.config.source import Document, attempt, read
from enos.config.topology import groups, roles
from enos.config.wording import spellings
from enos.config.yamltree import Loc, Problem
from enos.demand import Demand, host_names
from enos.errors import listed, one_of

KEY, ALL = "events", "all"
ENDS = ("src", "dst", "dest")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an event stands, and the names it may use: `known` for links."""

    document: Document
    loc: Loc
    groups: tuple[str, ...]
    known: tuple[str, ...]
    machines: tuple[str, ...]

    def problem(self, message: str, hint: str = "", *, key: str = "") -> Problem:
        """Return a problem with the event, or with one of its keys."""
        loc = (*self.loc, key) if key else self.loc
        return self.document.problem(loc, message, hint)


def timeline(
    document: Document,
    demand: Demand,
    known: Iterable[str],
    loc: Loc = (KEY,),
) -> tuple[Timeline, tuple[Problem, ...]]:
    """Return the events of a file and what is wrong with them.

    Args:
        document: the file.
        demand: the machines.
        known: the groups and roles there are; empty to take any name.
        loc: where the events stand in the file.

    """
    value: Any = document.value
    for part in loc:
        value = value.get(part)
    origin, wrong = "", []
    if isinstance(value, dict) and "timeline" in value:
        entry, problems = attempt(document, TimelineEntry, value, loc)
        origin, wrong = entry.origin if entry else "", list(problems)
        value, loc = value["timeline"], (*loc, "timeline")
    found: list[Event] = []
    names = groups(demand), tuple(known), _machines(demand)
    for one in written(value, loc):
        if isinstance(one, Unclear):
            wrong.append(document.problem(one.loc, one.message, one.hint))
            continue
        where, mapping = one
        event, problems = _event(_Place(document, where, *names), mapping)
        wrong += problems
        found += [event] if event else []
    found.sort(key=lambda event: event.at)
    return Timeline(events=tuple(found), origin=origin), tuple(wrong)


def load_timeline(path: Path, demand: Demand) -> Timeline:
    """Return the events of a file of their own, for the machines of an experiment.

    The file has a key `events`, or events at the top level. Raises ConfigError with
    all its problems.
    """
    document = read(path, hint=f"put the events under the key `{KEY}`")
    loc: Loc = (KEY,) if KEY in document.value else ()
    known = (*groups(demand), *roles(demand))
    found, problems = timeline(document, demand, known, loc)
    if document.problems or problems:
        raise document.failure((*document.problems, *problems))
    return found


def _machines(demand: Demand) -> tuple[str, ...]:
    """Return the names of the machines, also those their owner gave them."""
    return tuple(
        str(machine.extra.get("alias") or name) for name, machine in host_names(demand)
    )


def _event(
    place: _Place, given: Mapping[str, Any]
) -> tuple[Event | None, tuple[Problem, ...]]:
    links = {one for several in spellings(Constraint) for one in several}
    fields = set(EventEntry.model_fields)
    unknown = [key for key in given if key not in links | fields]
    if unknown:
        known = (*EventEntry.model_fields, *QUANTITIES)
        return None, tuple(
            place.problem(f"unknown key `{key}`", one_of(str(key), known), key=key)
            for key in unknown
        )
    own = {key: one for key, one in given.items() if key in fields}
    asked = {key: one for key, one in given.items() if key in links}
    entry, problems = attempt(place.document, EventEntry, own, place.loc)
    if entry is None:
        return None, problems
    wrong = (*_misnamed(place, entry, asked), *_muddled(place, entry, asked))
    if wrong:
        return None, wrong
    if asked:
        return _change(place, entry, asked)
    return _action(entry, place.groups), ()


def _misnamed(
    place: _Place, entry: EventEntry, asked: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield each name that stands for nothing."""
    keys = ("between", "partition", "heal", "on")
    lists = {key: getattr(entry, key) or () for key in keys}
    ends = {key: (asked[key],) for key in ENDS if isinstance(asked.get(key), str)}
    for key, names in {**lists, **ends}.items():
        for name in names if list(names) != [ALL] else ():
            try:
                several = expand(name)
            except ValueError as bad:
                yield place.problem(str(bad), key=key)
                continue
            known = (*place.known, *(place.machines if key == "on" else ()))
            for one in several if place.known else ():
                if one not in known:
                    said = f"no group or role is called `{one}`"
                    yield place.problem(said, one_of(one, known), key=key)
        paired = key in keys[:2] and names and _readable(names)
        if paired and not _couples(names, place.groups):
            yield place.problem("there is no other group", key=key)


def _readable(names: Iterable[str]) -> bool:
    """Tell whether every name, a range among them, says which names it stands for."""
    try:
        return all(expand(name) for name in names)
    except ValueError:
        return False


def _muddled(
    place: _Place, entry: EventEntry, asked: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield what is wrong with the keys of an event taken together."""
    verbs = ("partition", "heal", *VERBS)
    deeds = [key for key in verbs if getattr(entry, key) is not None]
    deeds += [key for key in asked if key in QUANTITIES][:1]
    if len(deeds) != 1:
        said = f"at once {listed(deeds)}: make them two" if deeds else "nothing"
        hint = f"known: {listed((*verbs, *QUANTITIES))}"
        yield place.problem(f"an event that does {said}", "" if deeds else hint)
        return
    (deed,) = deeds
    for key in asked if deed in verbs else ():
        yield place.problem(f"`{key}` is not for `{deed}`", key=key)
    if entry.between is not None and deed in verbs:
        yield place.problem(f"`between` is not for `{deed}`", key="between")
    elif entry.between is not None and any(key in asked for key in ENDS):
        yield place.problem("write either `between` or `src` and `dst`", key="between")
    if entry.on is not None and deed not in VERBS:
        yield place.problem(f"`on` is not for `{deed}`", key="on")


def _change(
    place: _Place, entry: EventEntry, asked: Mapping[str, Any]
) -> tuple[LinkChange | None, tuple[Problem, ...]]:
    ends: list[dict[str, Any]] = [{}]
    if not any(key in asked for key in ENDS):
        couples = _couples(entry.between or place.groups, place.groups)
        ends = [{"src": one, "dst": other, "symmetric": True} for one, other in couples]
    found: list[ConstraintSpec] = []
    for end in ends:
        section, problems = attempt(
            place.document, Constraint, {**asked, **end}, place.loc
        )
        if section is None:
            return None, problems
        found += [spec_of(section, *pair) for pair in pairs(section.src, section.dst)]
    if not found:
        return None, (place.problem("there is one group only, hence no link"),)
    said = [f"{key} {one}" for key, one in asked.items() if key not in ENDS]
    where = " > ".join(str(asked[key]) for key in ENDS if key in asked)
    text = " ".join([*said, where or "|".join(entry.between or ())]).strip()
    return LinkChange(at=entry.at, text=text, specs=tuple(found)), ()


def _action(entry: EventEntry, groups: tuple[str, ...]) -> Event:
    if entry.partition is not None:
        text = f"partition {'|'.join(entry.partition)}"
        couples = _couples(entry.partition, groups)
        return Partition(at=entry.at, text=text, pairs=couples)
    if entry.heal is not None:
        if entry.heal == [ALL]:
            return Heal(at=entry.at, text="heal")
        couples = _couples(entry.heal, groups)
        return Heal(at=entry.at, text=f"heal {'|'.join(entry.heal)}", pairs=couples)
    verb, name = next(
        (verb, name) for verb in VERBS if (name := getattr(entry, verb)) is not None
    )
    on = tuple(entry.on or ())
    text = f"{verb} {name}" + (f" on {'|'.join(on)}" if on else "")
    several = tuple(one for word in on for one in expand(word))
    return Switch(at=entry.at, text=text, verb=verb, name=name, on=several)


def _couples(names: Iterable[str], groups: tuple[str, ...]) -> Pairs:
    """Return the pairs of names; one that is alone is paired with all groups."""
    several = tuple(dict.fromkeys(one for name in names for one in expand(name)))
    if len(several) == 1:
        return tuple((several[0], one) for one in groups if one != several[0])
    return tuple(combinations(several, 2))
