"""`enos bench`: run a workload."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from enos.phases.bench import Outcome


@click.command("bench")
@click.option(
    "--workload", type=click.Path(path_type=Path), default="demo", show_default=True,
    help="A run.yml, a folder that holds one, or the name of a shipped workload.",
)  # fmt: skip
@click.option(
    "--events", type=click.Path(path_type=Path),
    help="A file of events, in place of those of the experiment.",
)  # fmt: skip
@click.option("--no-events", is_flag=True, help="Let nothing happen meanwhile.")
@common
def command(
    options: Options, workload: Path, events: Path | None, *, no_events: bool
) -> None:
    """Run the scenarios of a workload; fails when one of them, or its SLA, fails."""
    from enos.config.events import Timeline
    from enos.phases import bench
    from enos.phases import events as meanwhile

    if events and no_events:
        raise click.UsageError("choose one of --events and --no-events")
    if options.dry_run:
        several = () if no_events else _foreseen(options, events)
        telling.plan(options, (*bench.plan(bench.load(workload)), *several))
        return
    with opened(options) as session:
        asked = Timeline() if no_events else meanwhile.asked(session, events)
        outcome = bench.run(session, workload, asked)
    _tell(outcome, options)
    _judge(outcome, options)
    options.console.next_command(telling.following(options, "backup"))


def _judge(outcome: "Outcome", options: Options) -> None:
    """Raise the first failure of a run; the others are told as warnings before."""
    from enos import events
    from enos.bench import rally, tracing
    from enos.errors import EnosError
    from enos.phases import network

    judges: list[Callable[[], None]] = [
        lambda: events.judge(outcome.events),
        lambda: network.judge(outcome.problem),
        lambda: rally.judge(outcome.results),
        lambda: tracing.judge(outcome.results),
    ]
    if outcome.measured:
        judges.append(outcome.measured.require)
    failures: list[EnosError] = []
    for judge in judges:
        try:
            judge()
        except EnosError as failure:
            failures.append(failure)
    for other in failures[1:]:
        details = f": {'; '.join(other.details.splitlines())}" if other.details else ""
        options.console.warn(f"{other.message}{details}")
    if failures:
        raise failures[0]


def _foreseen(options: Options, file: Path | None) -> "Sequence[str]":
    """Return what the events would do, when there is an experiment to ask."""
    from enos.errors import StateError
    from enos.phases import events

    try:
        with opened(options) as session:
            asked = events.asked(session, file)
            if not asked.events:
                return ()
            return events.text(events.planned(session, asked)).splitlines()
    except StateError as nothing:
        options.console.decision(f"the events cannot be planned: {nothing}")
        return ()


def _tell(outcome: "Outcome", options: Options) -> None:
    from enos.bench.results import summary

    rows = summary(outcome.results)
    if options.json:
        several = [one.to_json() for one in outcome.events]
        measured = outcome.measured.to_json() if outcome.measured else None
        whole = {
            "folder": str(outcome.folder),
            "scenarios": rows,
            "events": several,
            "network": {"ok": not outcome.problem, "problem": outcome.problem},
            "measured": measured,
        }
        options.console.result_json(whole)
        return
    for row in rows:
        mean = row["mean"]
        seconds = "-" if mean is None else f"{mean:.2f} s"
        verdict = "passed" if row["ok"] else "failed"
        options.console.result(
            f"{verdict:<7} {seconds:>9}  {row['name']}: {row['verdict']}"
        )
    options.console.result(str(outcome.folder))
