"""Time series out of the database: what to ask (pure) and what the answer says.

The database is InfluxDB 1.x; a measurement is a measure (``cpu``), its points carry the
tags `host`, `instance` and `unit` and one field, `value`
(https://docs.influxdata.com/influxdb/v1/query_language/).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from enos.errors import ConfigError, MonitoringError, one_of

TAGS = ("host", "instance", "unit")
SECOND = 1000  # the database is asked for milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One measure of one thing over time.

    Attributes:
        measure: what was measured, ``cpu``; see docs/reference/metrics.md.
        host: name of the machine, empty for none.
        instance: which of several on that machine (a container, an interface), or "".
        unit: of the values, ``cores``, ``B``, ``B/s``, ….
        points: (seconds since the epoch, value), in order.

    """

    measure: str
    host: str
    instance: str
    unit: str
    points: tuple[tuple[float, float], ...]


class Database(Protocol):
    """Where measures can be asked for."""

    def ask(self, statement: str) -> dict[str, Any]:
        """Return the answer to InfluxQL, times in ms; raises MonitoringError."""


def query(
    database: Database,
    *,
    measures: Sequence[str] = (),
    hosts: Sequence[str] = (),
    begin: float | None = None,
    end: float | None = None,
    every: float | None = None,
) -> tuple[Series, ...]:
    """Return the series of some measures, ordered by measure, host and instance.

    Args:
        database: see `enos.metrics.database`.
        measures: their names, empty for all.
        hosts: names, empty for all.
        begin: seconds since the epoch; points before it are left out.
        end: likewise, points after it.
        every: seconds; means over such intervals instead of the points themselves.

    Raises:
        MonitoringError: the database does not answer or refuses.

    """
    text = statement(measures=measures, hosts=hosts, begin=begin, end=end, every=every)
    return several(database.ask(text))


def measurements(database: Database) -> list[str]:
    """Return the names of all that a database holds.

    Raises MonitoringError as `query`.
    """
    return [
        str(row[0])
        for result in results(database.ask("SHOW MEASUREMENTS"))
        for one in result.get("series", ())
        for row in one["values"]
    ]


def require_known(database: Database, measures: Sequence[str]) -> None:
    """Raise ConfigError for the name of a measure that was never taken.

    Raises MonitoringError as `query`.
    """
    known = measurements(database)
    for name in measures:
        if name not in known:
            hint = one_of(name, known) or "nothing was measured yet"
            raise ConfigError(f"no measure is called `{name}`", hint=hint)


def statement(
    *,
    measures: Sequence[str] = (),
    hosts: Sequence[str] = (),
    begin: float | None = None,
    end: float | None = None,
    every: float | None = None,
) -> str:
    """Return the InfluxQL that asks for series; arguments as those of `query`.

    >>> statement(measures=["cpu"], begin=1.5)
    'SELECT "value" FROM "cpu" WHERE time >= 1500ms GROUP BY "host", "instance", "unit"'
    """
    source = ", ".join(map(identifier, measures)) or "/.*/"
    tests = [_any_of(hosts)] if hosts else []
    tests += [f"time >= {round(begin * SECOND)}ms"] if begin is not None else []
    tests += [f"time <= {round(end * SECOND)}ms"] if end is not None else []
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    group = ", ".join(map(identifier, TAGS))
    what = '"value"'
    if every is not None:
        what, group = 'mean("value")', f"time({round(every * SECOND)}ms), {group}"
    return f"SELECT {what} FROM {source}{where} GROUP BY {group}"  # noqa: S608 - quoted


def several(answer: Mapping[str, Any]) -> tuple[Series, ...]:
    """Return the series in an answer; raises MonitoringError for a refusal."""
    found = [
        _series(one)
        for result in results(answer)
        for one in result.get("series", ())
        if "value" in one["columns"] or "mean" in one["columns"]
    ]
    key = ("measure", "host", "instance", "unit")
    there = (one for one in found if one.points)
    return tuple(sorted(there, key=lambda one: [getattr(one, name) for name in key]))


def results(answer: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Return the results of an answer; raises MonitoringError when one is an error."""
    told = [answer, *answer.get("results", ())]
    errors = [str(one["error"]) for one in told if "error" in one]
    if errors:
        raise MonitoringError(
            f"the database of measures refuses: {errors[0]}",
            hint="see https://docs.influxdata.com/influxdb/v1/query_language/",
        )
    found: Iterable[Mapping[str, Any]] = answer.get("results", ())
    return found


def identifier(name: str) -> str:
    r"""Return a name as an InfluxQL identifier.

    >>> identifier('a"b')
    '"a\\"b"'
    """
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def text(value: str) -> str:
    r"""Return a value as an InfluxQL string.

    >>> text("it's")
    "'it\\'s'"
    """
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _any_of(hosts: Sequence[str]) -> str:
    tests = " OR ".join(f'"host" = {text(host)}' for host in hosts)
    return f"({tests})" if len(hosts) > 1 else tests


def _series(one: Mapping[str, Any]) -> Series:
    tags: Mapping[str, str] = one.get("tags", {})
    column = "value" if "value" in one["columns"] else "mean"
    when, what = one["columns"].index("time"), one["columns"].index(column)
    points = (
        (row[when] / SECOND, float(row[what]))
        for row in one["values"]
        if row[what] is not None
    )
    return Series(
        measure=one["name"],
        host=tags.get("host", ""),
        instance=tags.get("instance", ""),
        unit=tags.get("unit", ""),
        points=tuple(points),
    )
