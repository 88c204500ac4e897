"""A trace as one HTML page: tree, time line and sequence, no network needed. Pure.

Styles, script and data are in the page. Only the rows in sight are drawn, so that
traces of many thousand spans stay quick.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from enos.traces.critical import path
from enos.traces.crossings import Lab, crossings
from enos.traces.names import CATEGORIES
from enos.traces.tables import Row, summed
from enos.traces.tree import Span, Tree

VISIBLE = 0.001
"""Seconds a span must go on after its end for that to be drawn."""

TEMPLATES = Path(__file__).parent / "templates"


def render(title: str, tree: Tree, lab: Lab) -> str:
    """Return the page of a trace.

    Args:
        title: run and scenario.
        tree: the trace.
        lab: its hosts, and what lay between them.

    """
    script = _inlined("trace.js")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("trace.html.j2").render(
        title=title,
        tree=tree,
        lab=lab,
        categories=CATEGORIES,
        services=_services(summed([tree])),
        crossings=crossings([tree], lab),
        style=_inlined("trace.css"),
        policy=_policy(script),
        script=script,
        data=data(tree, lab),
    )


def data(tree: Tree, lab: Lab) -> dict[str, Any]:
    """Return what the page's script draws; times in milliseconds.

    Spans refer to their callers by position, callers first.
    """
    waited: dict[str, float] = {}
    for segment in path(tree):
        waited[segment.span] = waited.get(segment.span, 0.0) + segment.seconds
    listed = [span for _, span in tree.walk()]
    place = {span.id: at for at, span in enumerate(listed)}
    return {
        "end": _ms(tree.last),
        "places": {one.host: lab.place(one.host) for one in listed},
        "path": [
            [place.get(one.span, -1), _ms(one.begin), _ms(one.end)]
            for one in path(tree)
        ],
        "spans": [
            {
                **_plain(span),
                **_thread(tree, span),
                "parent": place.get(span.parent, -1),
                "own": _ms(tree.own(span)),
                "waited": _ms(waited.get(span.id, 0.0)),
            }
            for span in listed
        ],
    }


def _thread(tree: Tree, span: Span) -> dict[str, float]:
    goes_on = tree.reach[span.id] - span.end > VISIBLE
    return {"reach": _ms(tree.reach[span.id])} if goes_on else {}


def _plain(span: Span) -> Mapping[str, Any]:
    return {
        "begin": _ms(span.begin),
        "end": _ms(span.end),
        "service": span.service,
        "host": span.host,
        "category": CATEGORIES.index(span.category),
        "operation": span.operation,
        **({"what": span.what} if span.what != span.operation else {}),
        **({"error": span.error} if span.error else {}),
        **({} if span.whole else {"broken": 1}),
    }


def _services(rows: Sequence[Row]) -> list[dict[str, Any]]:
    longest = max((row.own for row in rows), default=0.0)
    return [
        {
            "service": row.key[0],
            "category": row.key[1],
            "number": CATEGORIES.index(row.key[1]),
            "calls": row.calls,
            "own": _ms(row.own),
            "seconds": _ms(row.seconds),
            "errors": row.errors,
            "width": 100 * row.own / longest if longest else 0.0,
        }
        for row in rows
    ]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _inlined(name: str) -> Markup:
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of this package


def _policy(script: str) -> str:
    """Return a Content-Security-Policy by which this script runs and nothing loads.

    Traces come from archives too. https://www.w3.org/TR/CSP3/
    """
    digest = hashlib.sha256(script.encode()).digest()
    allowed = f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"
