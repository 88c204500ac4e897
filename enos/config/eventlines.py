"""The spellings of the section `events`, each turned into one mapping for an event.

at 60s: delay 100ms grp1|grp3                      {at: 60s, delay: 100ms,
{at 60s: {delay: 100ms, between: grp1|grp3}}   →    between: grp1|grp3}
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from enos.config.constraints import QUANTITIES
from enos.config.events import VERBS
from enos.config.wording import kind_of
from enos.config.yamltree import Loc
from enos.errors import one_of

_AT = re.compile(r"\s*(?:at\s+)?(?P<at>\d[^:]*?)\s*:\s+(?P<what>.+?)\s*")
_KEY = re.compile(r"\s*(?:at\s+)?(?P<at>\d.*?)\s*")

Written: TypeAlias = tuple[Loc, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Unclear:
    """Something that is no event, and why."""

    loc: Loc
    message: str
    hint: str = "write `at 60s: delay 100ms grp1|grp2`, or a mapping with `at`"


def written(
    value: Any,  # noqa: ANN401 - YAML
    loc: Loc,
) -> Iterator[Written | Unclear]:
    """Yield each event as a mapping, whatever form it is written in."""
    match value:
        case None:
            return
        case str():
            several = filter(str.strip, re.split(r"[;\n]", value))
            yield from (_line(part, loc) for part in several)
        case list():
            for number, one in enumerate(value):
                yield from written(one, (*loc, number))
        case {"at": _}:
            yield loc, value
        case dict():
            yield from (_keyed(key, one, (*loc, key)) for key, one in value.items())
        case _:
            yield Unclear(loc, f"{kind_of(value)} is no event")


def _line(text: str, loc: Loc) -> Written | Unclear:
    match = _AT.fullmatch(text)
    if match is None:
        return Unclear(loc, f"`{text.strip()}` is no event")
    return _worded(match["at"], match["what"], loc)


def _keyed(key: object, what: object, loc: Loc) -> Written | Unclear:
    match = _KEY.fullmatch(str(key))
    if match is None:
        return Unclear(loc, f"`{key}` is no moment of an event")
    if isinstance(what, dict):
        return loc, {"at": match["at"], **what}
    return _worded(match["at"], str(what), loc)


def _worded(at: str, what: str, loc: Loc) -> Written | Unclear:
    """Return the mapping that ``partition grp1|grp3`` stands for."""
    said = re.sub(r"\s*\|\s*", "|", what).split()
    if not said:
        return Unclear(loc, f"nothing is said to happen at {at}")
    verb, *words = said
    if verb == "partition" and words:
        return loc, {"at": at, verb: " ".join(words)}
    if verb == "heal":
        return loc, {"at": at, verb: " ".join(words) or "all"}
    if verb in VERBS and words:
        name, *rest = words
        place = {"on": " ".join(rest[1:])} if rest[:1] == ["on"] else {}
        if place or not rest:
            return loc, {"at": at, verb: name, **place}
        return Unclear(loc, f"`{what}`: behind `{name}` comes nothing or `on`")
    return _quantities(at, [verb, *words], loc)


def _quantities(at: str, words: list[str], loc: Loc) -> Written | Unclear:
    found: dict[str, Any] = {"at": at}
    while words and words[0] in QUANTITIES and len(words) > 1:
        found[words[0]], words = words[1], words[2:]
    if len(found) == 1:
        hint = one_of(words[0], ("partition", "heal", *VERBS, *QUANTITIES[:1]))
        return Unclear(loc, f"`{words[0]}` is nothing an event does", hint)
    if words:
        found["between"] = " ".join(words).removeprefix("between ")
    return loc, found
