"""From the folder of a played scenario to its result."""

import json
from pathlib import Path
from typing import Any

from enos.bench.results import ScenarioResult
from enos.bench.shaker.samples import found
from enos.bench.shaker.scenario import ShakerRun

OUTCOME, OUTPUT, PAGE = "outcome.json", "shaker.json", "report.html"
GAP = "gap.json"
"""In place of an outcome: why it could not be run. A run that goes on tries again."""

_NOT_RUN: dict[str, Any] = {"error": "it was not run", "seconds": 0}


def result(run: ShakerRun, place: Path) -> ScenarioResult:
    """Return what came of a run; a folder without an outcome was not run."""
    outcome = _json(place / OUTCOME) or _json(place / GAP) or _NOT_RUN
    output = _json(place / OUTPUT) or {}
    told = found(output)
    alone = not told.measures and len(told.faults) == 1 and not output.get("tests")
    lost = tuple(
        f"the agent {name} ended by itself" for name in outcome.get("lost", ())
    )
    # without a single test the one fault is why nothing ran
    error = str(outcome["error"]) or (told.faults[0] if alone else "")
    return ScenarioResult(
        name=run.name,
        key=run.key,
        args=run.args,
        plugin=run.alias or "Shaker",
        slas=told.slas,
        error=error,
        seconds=float(outcome["seconds"]),
        began=float(outcome.get("began") or 0.0),
        measures=told.measures,
        faults=(*told.faults, *lost),
    )


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    return dict(json.loads(path.read_text(encoding="utf-8")))
