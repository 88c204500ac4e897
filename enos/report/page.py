"""From values to HTML: pages that are one file and need no network. Pure.

    report_page(Report(…))          asked, there and measured of an experiment
    timeline_page(Timeline(…))      a time line alone

The browser is told to load nothing and to run no script but the page's own: what a
page shows may come from an archive that somebody sent.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from enos.report.chronicle import run_timeline
from enos.report.comparison import QUANTITIES, compared, figure, seconds
from enos.report.heatmap import as_svg, rtt_matrix
from enos.report.measures import strip, summary
from enos.report.readings import Link, Readings
from enos.report.runs import Run, Sample, Scenario
from enos.report.timeline import Span, Timeline, as_json

HERE = Path(__file__).parent
SCRIPTS = ("uPlot.iife.min.js", "timeline.js")
STYLES = ("uPlot.min.css", "report.css")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report is made of.

    Attributes:
        title: the experiment's name.
        timeline: None when nothing happened yet.

    """

    title: str
    readings: Readings
    timeline: Timeline | None = None


def timeline_page(timeline: Timeline) -> str:
    """Return a page with a time line alone."""
    return _render(
        "timeline.html.j2",
        title=timeline.title,
        when=_when(timeline.span),
        timelines={"timeline": as_json(timeline)},
    )


def heat_map_page(title: str, heat_map: str, when: str = "") -> str:
    """Return a page with a heat map alone, an SVG of `enos.report.heatmap`."""
    picture = Markup(heat_map)  # noqa: S704 - enos.report's own SVG
    return _render(
        "heatmap.html.j2", title=title, when=when, timelines={}, heat_map=picture
    )


def report_page(report: Report) -> str:
    """Return the page of an experiment."""
    readings, drawn = report.readings, report.timeline
    links = [_link(one) for one in readings.links]
    return _render(
        "report.html.j2",
        title=report.title,
        when=_when(drawn.span) if drawn else "nothing was run yet",
        timelines=_timelines(report),
        rows=compared(readings),
        runs=[_run(one, number) for number, one in enumerate(readings.runs)],
        links=links,
        links_bad=sum(not one["ok"] for one in links),
        heat_map=_heat_map(readings),
        machines=readings.machines,
        versions=dict(sorted(readings.versions.items())),
        text=str(readings.resolved.get("text", "")),
        decisions=_decisions(readings),
        notes=readings.notes,
    )


def _timelines(report: Report) -> dict[str, Any]:
    """Return place in the page → time line: of the whole, and of each run measured."""
    of_runs = {
        _place(number): as_json(its)
        for number, one in enumerate(report.readings.runs)
        if (its := run_timeline(report.readings, one))
    }
    whole = {"timeline": as_json(report.timeline)} if report.timeline else {}
    return whole | of_runs


def _place(run: int) -> str:
    return f"timeline-{run}"


def _heat_map(readings: Readings) -> Markup:
    groups = {machine.name: machine.groups for machine in readings.machines}
    matrix = rtt_matrix(readings.links, groups)
    return Markup(as_svg(matrix) if matrix else "")  # noqa: S704 - our own SVG


def _render(template: str, **values: Any) -> str:  # noqa: ANN401 - a template's values
    scripts = [_static(name) for name in SCRIPTS]
    styles = "".join(_static(name) for name in STYLES)
    return (
        _environment()
        .get_template(template)
        .render(
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files
            styles=Markup(styles),  # noqa: S704 - likewise
            policy=_policy(scripts),
            **values,
        )
    )


def _policy(scripts: list[str]) -> str:
    """Return a Content-Security-Policy that lets these scripts run and loads nothing.

    https://www.w3.org/TR/CSP3/
    """
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {hashes}"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


@cache
def _static(name: str) -> str:
    return (HERE / "static" / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _when(span: Span) -> str:
    began, ended = (datetime.fromtimestamp(at, UTC) for at in span)
    lasted = seconds(span[1] - span[0])
    return f"{began:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S} UTC, {lasted}"


def _run(run: Run, number: int) -> dict[str, Any]:
    return {
        "place": _place(number),
        "name": run.name,
        "label": run.label,
        "iterated": any(one.durations for one in run.scenarios),
        "scenarios": [_scenario(one) for one in run.scenarios],
        "figures": [_sample(one) for one in run.figures],
        "actions": [_sample(one) for one in run.actions],
    }


def _scenario(one: Scenario) -> dict[str, Any]:
    both = list(zip(one.durations, one.passed, strict=False))
    found = summary([duration for duration, ok in both if ok])
    drawn = strip([duration for duration, _ in both], [ok for _, ok in both])
    return {
        "name": one.name,
        "plugin": one.plugin,
        "iterations": len(one.durations),
        "failed": sum(not ok for ok in one.passed),
        **{
            name: _seconds(getattr(found, name, None))
            for name in ("mean", "median", "p95", "deviation")
        },
        "strip": drawn,
        "greatest": _seconds(drawn.greatest) if drawn else "",
        "slas": one.slas,
        "ok": one.ok,
        "verdict": one.verdict,
    }


def _sample(one: Sample) -> dict[str, Any]:
    found = summary(one.values)
    numbers = {
        name: f"{getattr(found, name):.4g}"
        for name in ("mean", "median", "p95", "least", "greatest")
    }
    return {
        "scenario": one.scenario,
        "metric": one.metric,
        "unit": one.unit,
        "count": len(one.values),
        **numbers,
    }


def _link(link: Link) -> dict[str, Any]:
    def shown(value: float | None) -> str:
        return figure(link.quantity, value)

    low, high = shown(link.low), shown(link.high)
    return {
        "between": f"{link.source} → {link.destination}",
        "network": link.network,
        "quantity": QUANTITIES.get(link.quantity, link.quantity),
        "asked": shown(link.asked),
        "before": "-" if link.baseline is None else shown(link.baseline),
        "measured": shown(link.measured),
        "accepted": f"{low.split()[0]} to {high}",
        "ok": link.ok,
        "note": link.note,
    }


def _decisions(readings: Readings) -> list[tuple[str, str]]:
    told = [
        (str(event.get("phase", "")), str(event["what"]))
        for event in readings.journal
        if event["kind"] in {"decision", "warning", "fact"}
    ]
    return list(dict.fromkeys(told))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} s"
