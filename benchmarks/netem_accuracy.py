"""How close an emulated link comes to what was asked. Needs root.

Two network namespaces, one question at a time: one-way delay, one-way loss, rate.
Prints Markdown, or the verdicts as JSON lines for a program: `--json`. Takes the
quantities to ask as arguments (`delay=25ms loss=1% rate=100mbit`), or a set of its own.
"""

import json
import sys

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.netem import (
    Measurement,
    Verdict,
    apply,
    check,
    measure,
    pairs_to_measure,
    plan_emulation,
    probe_backend,
    reset,
    table,
    verdicts,
)
from enos.netem.verdict import HEADER
from enos.testing.namespaces import NamespaceTestbed
from enos.testing.recording import RecordingProgress
from enos.units import Duration, Percent, Rate

PARSERS = {"delay": Duration.parse, "loss": Percent.parse, "rate": Rate.parse}
JUDGED = {"delay": "rtt", "loss": "loss", "rate": "rate"}
QUESTIONS = (
    *("delay=1ms", "delay=5ms", "delay=25ms", "delay=50ms", "delay=100ms"),
    "delay=200ms",
    *("loss=0.1%", "loss=1%", "loss=10%", "loss=25%"),
    *("rate=1mbit", "rate=10mbit", "rate=100mbit", "rate=500mbit"),
)


def answer(net: NamespaceTestbed, question: str) -> Verdict:
    """Emulate one quantity from the first host to the second and judge it."""
    quantity, _, value = question.partition("=")
    asked = {quantity: PARSERS[quantity](value)}
    spec = ConstraintSpec(src="grp1", dst="grp2", **asked)
    plan = plan_emulation(NetworkConstraints(constraints=(spec,)), net.testbed)
    pairs = pairs_to_measure(plan, net.testbed)
    progress = RecordingProgress()
    backend = probe_backend(net.testbed, net.shell, progress).backend

    def look(*, rates: bool) -> Measurement:
        return measure(pairs, net.testbed, net.shell, progress, rates=rates)

    baseline = look(rates=False)
    apply(plan, net.testbed, net.shell, progress, backend=backend)
    found = verdicts(look(rates=True), baseline)
    check(plan, net.testbed, net.shell, backend=backend)
    reset(net.testbed, net.shell, progress)
    return next(one for one in found if one.quantity == JUDGED[quantity])


def main(words: list[str]) -> None:
    as_json = "--json" in words
    questions = [word for word in words if "=" in word] or QUESTIONS
    if not as_json:
        print("| " + " | ".join(HEADER[3:]) + " |\n" + "| --- " * len(HEADER[3:]) + "|")
    with NamespaceTestbed(groups=("grp1", "grp2"), prefix="enos-bench") as net:
        for question in questions:
            one = answer(net, question)
            row = " | ".join(table((one,))[0][3:])
            print(json.dumps(one.to_json()) if as_json else f"| {row} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
