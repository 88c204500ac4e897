"""How close an emulated link comes to what was asked. Needs root.

Two network namespaces, one question at a time, all of them one way. Prints Markdown,
or the verdicts as JSON lines for a program: `--json`. Takes the questions as arguments
(`delay=25ms`, `delay=20ms,jitter=5ms,distribution=normal`, `user-space:loss=1%`), or
asks a set of its own. `--merge FILE…` asks nothing: it makes the table out of JSON
lines of earlier runs, a column for each back end.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.netem import (
    Backend,
    Verdict,
    apply,
    check,
    measure,
    pairs_to_measure,
    plan_emulation,
    probe_backend,
    reset,
    verdicts,
)
from enos.testing.namespaces import NamespaceTestbed
from enos.testing.recording import RecordingProgress
from enos.units import Duration, GilbertElliott, Percent, Rate


def model(text: str) -> GilbertElliott:
    """Return the model of ``p/r/1-h``."""
    p, r, bad = (Percent.parse(word) for word in text.split("/"))
    return GilbertElliott(p=p, r=r, bad=bad)


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "delay": Duration.parse,
    "jitter": Duration.parse,
    "distribution": str,
    "delay_correlation": Percent.parse,
    "loss": Percent.parse,
    "gemodel": model,
    "loss_correlation": Percent.parse,
    "duplicate": Percent.parse,
    "reorder": Percent.parse,
    "reorder_correlation": Percent.parse,
    "corrupt": Percent.parse,
    "rate": Rate.parse,
    "limit": int,
}
JUDGED = {"delay": "rtt", "gemodel": "loss", "corrupt": "loss"}
"""Quantity asked → the one measured that proves it, where they differ."""
PROBES = 20_000  # at most: what tells 0.1 % of losses from none, and from 0.2 %
DELAYS = (1, 2, 5, 10, 25, 50, 100, 200)
LOSSES = (0.1, 1, 5, 10, 25)
RATES = (1, 10, 100, 500)
QUESTIONS = (
    *(f"delay={ms}ms" for ms in DELAYS),
    *(f"loss={share}%" for share in LOSSES),
    *(f"rate={mbit}mbit" for mbit in RATES),
    *("delay=20ms,jitter=5ms", "delay=20ms,jitter=5ms,distribution=normal"),
    *("delay=20ms,jitter=5ms,distribution=pareto", "loss=10%,loss_correlation=30%"),
    *("gemodel=2%/18%/80%", "delay=20ms,reorder=25%", "duplicate=10%", "corrupt=10%"),
)


def answer(net: NamespaceTestbed, question: str) -> dict[str, Any]:
    """Emulate what is asked from the first host to the second and judge it."""
    wanted, _, words = question.rpartition(":")
    asked = {
        name: PARSERS[name](value)
        for name, _, value in (word.partition("=") for word in words.split(","))
    }
    judged = {JUDGED.get(name, name) for name in asked}
    if "gemodel" in asked:
        asked["loss"] = asked.pop("gemodel")
    spec = ConstraintSpec(src="grp1", dst="grp2", **asked)
    plan = plan_emulation(NetworkConstraints(constraints=(spec,)), net.testbed)
    pairs = pairs_to_measure(plan, net.testbed)
    progress = RecordingProgress()
    choice = probe_backend(
        net.testbed,
        net.shell,
        progress,
        wanted=Backend(wanted) if wanted else None,
        plans=[plan],
    )
    backend = choice.backend

    baseline = measure(pairs, net.testbed, net.shell, progress, rates=False)
    apply(plan, net.testbed, net.shell, progress, backend=backend)
    found = measure(pairs, net.testbed, net.shell, progress, most=PROBES)
    check(plan, net.testbed, net.shell, backend=backend)
    reset(net.testbed, net.shell, progress)
    several = [
        one
        for one in verdicts(found, baseline)
        if one.quantity in judged and one.source == "node-1"
    ]
    (pair,) = found.pairs
    return {
        "question": words,
        "backend": str(backend),
        "ok": all(one.ok for one in several),
        "verdicts": [one.to_json() for one in several],
        "correlation": pair.trips.correlation,
        "capabilities": choice.capabilities["node-1"],
    }


def cell(plain: Mapping[str, Any]) -> str:
    """Return measured values as the documentation has them."""
    verdict = Verdict(**plain)
    got, base = verdict.measured, verdict.baseline or 0.0
    if got is None:
        return "no reply"
    mark = "" if verdict.ok else " (outside)"
    match verdict.quantity:
        case "rtt":
            return f"{got - base:.2f} ms{mark}"
        case "jitter":
            return f"middle half {got:.2f} ms wide, {verdict.asked:.2f} asked{mark}"
        case "rate":
            return f"{got / 1e6:.4g} Mbit/s{mark}"
        case _:
            interval = f"{verdict.low:.3g} - {verdict.high:.3g}"
            return f"{verdict.quantity} {got:.3g} % ({interval}){mark}"


def table(answers: Iterable[Mapping[str, Any]]) -> str:
    """Return a row for each question, a column for each back end."""
    rows: dict[str, dict[str, str]] = {}
    columns: dict[str, None] = {}
    for one in answers:
        columns[one["backend"]] = None
        said = "; ".join(cell(plain) for plain in one["verdicts"])
        rows.setdefault(one["question"], {})[one["backend"]] = said
    head = " | ".join(("asked, one way", *columns))
    lines = [f"| {head} |", "| --- " * (1 + len(columns)) + "|"]
    for question, said in rows.items():
        shown = question.replace(",", ", ").replace("=", " ")
        cells = (said.get(column, "not measured") for column in columns)
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(words: list[str]) -> None:
    if words[:1] == ["--merge"]:
        texts = (Path(name).read_text(encoding="utf-8") for name in words[1:])
        lines = (line for text in texts for line in text.splitlines())
        print(table(json.loads(line) for line in lines if line.startswith("{")))
        return
    as_json = "--json" in words
    questions = [word for word in words if "=" in word] or QUESTIONS
    answers = []
    with NamespaceTestbed(groups=("grp1", "grp2"), prefix="enos-bench") as net:
        for question in questions:
            answers.append(answer(net, question))
            told = json.dumps(answers[-1]) if as_json else f"{question} done"
            print(told, file=sys.stdout if as_json else sys.stderr, flush=True)
    if not as_json:
        print(table(answers))


if __name__ == "__main__":
    main(sys.argv[1:])
