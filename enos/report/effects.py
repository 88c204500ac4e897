"""For how long what an event did lasts: until others have undone all of it. Pure.

What an event acts on comes from its record in ``events.json``: its words for links, its
words and hosts for services and machines. It is undone as it is during a run, see
`enos.events.situation`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import combinations, product

from enos.config.constraints import QUANTITIES, expand
from enos.report.runs import Event

LASTS = {
    "link": ("heal", "end"),
    "partition": ("heal", "end"),
    "stop": ("start", "end"),
    "pause": ("unpause", "end"),
}
"""Kind of an event whose effect lasts → the kinds that undo it."""

MENDING = frozenset(kind for kinds in LASTS.values() for kind in kinds)


@dataclass(frozen=True, slots=True)
class Link:
    """Two groups, in either order."""

    ends: frozenset[str]


@dataclass(frozen=True, slots=True)
class Thing:
    """A service on a host, or with "" for one the host itself."""

    host: str
    service: str


Affected = frozenset[Link | Thing]


def undone(
    event: Event, later: Iterable[Event], groups: Collection[str]
) -> Event | None:
    """Return the event with which nothing is left of another's effect, None without.

    Args:
        event: of a run's ``events.json``.
        later: those that began after it, in order.
        groups: all groups of the experiment.

    """
    kinds = LASTS.get(str(event["kind"]), ())
    begun = left = affected(event, groups)
    for other in later:
        if other["kind"] not in kinds:
            continue
        healed = affected(other, groups)
        left = frozenset(one for one in left if not _mends(healed, one))
        if not healed or (begun and not left):
            return other
    return None


def affected(event: Event, groups: Collection[str]) -> Affected:
    """Return what an event is about; nothing for one that undoes everything.

    >>> event = {"kind": "partition", "what": "partition grp[1-2]", "hosts": ()}
    >>> [sorted(one.ends) for one in affected(event, ())]
    [['grp1', 'grp2']]
    """
    what, kind = str(event["what"]), str(event["kind"])
    match kind:
        case "end":
            return frozenset()
        case "partition" | "heal":
            return _couples(what.partition(" ")[2], groups)
        case "link" if " > " in what:
            *_, source, _, target = what.split()
            return _pairs(_names(source), _names(target))
        case "link":
            return _couples(_between(what, groups), groups)
        case _:
            return _things(event, what.split(), groups)


def _mends(healed: Affected, one: Link | Thing) -> bool:
    """Tell whether what an event undoes holds one thing, by its name or its stem."""
    if isinstance(one, Link):
        return one in healed
    return any(
        isinstance(other, Thing)
        and other.host == one.host
        and (other == one or (other.service and _is_of(one.service, other.service)))
        for other in healed
    )


def _is_of(service: str, stem: str) -> bool:
    """Tell whether a service is among those of a stem: `nova_api` is of `nova`."""
    return service.startswith(f"{stem}_")


def _couples(words: str, groups: Collection[str]) -> Affected:
    """Return the pairs of ``a|b|c``; one that is alone is paired with all groups."""
    names = _names(words)
    if len(names) == 1:
        others = [group for group in groups if group != names[0]]
        return _pairs(names, others or [""])
    return frozenset(Link(frozenset(pair)) for pair in combinations(names, 2))


def _between(what: str, groups: Collection[str]) -> str:
    """Return the groups that the words of a changed link end with, else all.

    The words are quantities and their values by turns, then maybe groups.
    """
    *_, before, last = ("", "", *what.split())
    named = "|" in last or last in groups
    named |= before not in QUANTITIES and last[:1].isalpha()
    return last if named else "|".join(groups)


def _pairs(sources: Iterable[str], targets: Iterable[str]) -> Affected:
    return frozenset(Link(frozenset(pair)) for pair in product(sources, targets))


def _things(event: Event, words: list[str], groups: Collection[str]) -> Affected:
    name = words[1] if words[1:] else ""
    hosts = tuple(event.get("hosts") or ())
    whole = "on" not in words and (name in hosts or name in groups)
    stem = "" if whole else name.replace("-", "_")
    return frozenset(Thing(host, stem) for host in hosts or ("",))


def _names(words: str) -> tuple[str, ...]:
    """Return the names of ``a|b[1-2]``, each once; those that cannot be read as is."""
    found: list[str] = []
    for name in words.split("|") if words else ():
        try:
            found += expand(name.strip())
        except ValueError:
            found.append(name.strip())
    return tuple(dict.fromkeys(found))
