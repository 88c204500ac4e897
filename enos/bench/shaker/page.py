"""What a scenario measured as one HTML page that needs no network. Pure.

Shaker's own report loads its scripts from the net; this one draws its lines itself.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from enos.bench.measure import Measure
from enos.bench.results import ScenarioResult

TEMPLATE = Path(__file__).with_name("page.html.j2")
WIDTH, HEIGHT = 240, 40
_DIGITS = 4


def page(result: ScenarioResult, output: Mapping[str, Any]) -> str:
    """Return the page of a scenario.

    Args:
        result: of `outcome.result`.
        output: Shaker's, for the definitions of scenario and tests.

    """
    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = made.from_string(TEMPLATE.read_text(encoding="utf-8"))
    scenarios: Mapping[str, Any] = output.get("scenarios") or {}
    scenario: Mapping[str, Any] = next(iter(scenarios.values()), {})
    return template.render(
        result=result,
        rows=[_row(measure) for measure in result.measures],
        description=scenario.get("description", ""),
        tests={
            title: json.dumps(test, indent=1)
            for title, test in (output.get("tests") or {}).items()
        },
        width=WIDTH,
        height=HEIGHT,
    )


def points(values: Sequence[float]) -> str:
    """Return the points of an SVG polyline from 0 up to the largest value.

    >>> points([0.0, 10.0])
    '0.0,40.0 240.0,0.0'
    """
    if len(values) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    top = max(*values, 0.0) or 1.0
    step = WIDTH / (len(values) - 1)
    return " ".join(
        f"{at * step:.1f},{HEIGHT * (1 - max(value, 0.0) / top):.1f}"
        for at, value in enumerate(values)
    )


def shown(value: float | None) -> str:
    """Return a figure with four digits: `9377`, `0.1136`, `-` for none."""
    if value is None:
        return "-"
    if abs(value) >= 10 ** (_DIGITS - 1):
        return f"{value:.0f}"
    return f"{value:.{_DIGITS}g}"


def _row(measure: Measure) -> dict[str, Any]:
    told = measure.statistics
    names = ("mean", "stdev", "min", "median", "p95", "max")
    several = len(measure.values) > 1
    return {
        "label": measure.label,
        "metric": measure.metric,
        "unit": measure.unit,
        "count": told["count"],
        "figures": [
            shown(told.get(name)) if several or name == "mean" else "" for name in names
        ],
        "points": points(measure.values),
    }
