"""What the section `events` may hold: an event as written, and moments."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from enos.config.values import Strict
from enos.config.wording import kind_of
from enos.errors import listed

UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}
_MOMENT = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z]+)\s*")


def moment(value: object) -> float:
    """Return the seconds a text like ``90s`` or ``1.5min`` stands for.

    Raises ValueError with a sentence that names the units.

    >>> moment("90s"), moment("1.5min"), moment("250ms")
    (90.0, 90.0, 0.25)
    """
    match = _MOMENT.fullmatch(str(value))
    if match is None or match["unit"] not in UNITS:
        known = listed(UNITS)
        raise ValueError(
            f"`{value}` is not a moment: write a number and one of {known}"
        )
    return float(match["number"]) * UNITS[match["unit"]]


def _groups(value: object) -> object:
    """Split ``grp1|grp2``, the short form of a list."""
    names = value
    if isinstance(value, str):
        names = [one for one in re.split(r"[|,\s]+", value) if one]
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise ValueError(f"{kind_of(value)} is not a list of groups: write `grp1|grp2`")
    if not names:
        raise ValueError("no group is named: write `grp1|grp2`")
    return names


Groups = Annotated[
    list[str],
    BeforeValidator(_groups),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]


class EventEntry(Strict):
    """One event: `at`, and one of the other keys.

    A change of links takes the quantities of a constraint beside `between`.
    """

    at: Annotated[
        float,
        PlainValidator(moment),
        WithJsonSchema({"type": "string", "examples": ["60s"]}),
    ] = Field(
        description="When: `ms`, `s`, `min` or `h` after the clock of the run starts.",
        examples=["60s"],
    )
    between: Groups | None = Field(
        default=None,
        description="Groups or roles whose links change, both ways; left out, all."
        " `src` and `dst` instead mean one way.",
        examples=[["grp1", "grp3"]],
    )
    partition: Groups | None = Field(
        default=None,
        description="Groups or roles cut off from one another; one alone, from all.",
        examples=[["grp1", "grp3"]],
    )
    heal: Groups | None = Field(
        default=None,
        description="Groups or roles whose links become what they were; `all`.",
        examples=["all"],
    )
    stop: str | None = Field(
        default=None,
        description="A machine, a group of them, or a service.",
        examples=["compute-1"],
    )
    start: str | None = Field(
        default=None,
        description="What was stopped, the same way.",
        examples=["compute-1"],
    )
    pause: str | None = Field(
        default=None, description="The same, frozen in place.", examples=["rabbitmq"]
    )
    unpause: str | None = Field(
        default=None,
        description="What was paused, the same way.",
        examples=["rabbitmq"],
    )
    on: Groups | None = Field(
        default=None,
        description="Machines, groups or roles; left out, all that have the service.",
        examples=["grp2"],
    )


class TimelineEntry(Strict):
    """The long form of the section: events, and the scenario they are counted from."""

    origin: str = Field(
        default="",
        alias="from",
        description="Name of the scenario that starts the clock; left out, the first.",
        examples=["boot and delete a server"],
    )
    timeline: Any = Field(description="The events.", examples=[["at 60s: heal"]])
