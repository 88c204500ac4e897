"""`enos bench`: run a workload."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from enos.cli.opening import opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from enos.phases.bench import Outcome


@click.command("bench")
@click.option(
    "--workload", type=click.Path(path_type=Path), default="demo", show_default=True,
    help="A run.yml, a folder that holds one, or the name of a shipped workload.",
)  # fmt: skip
@common
def command(options: Options, workload: Path) -> None:
    """Run the scenarios of a workload; fails when one of them, or its SLA, fails."""
    from enos.bench import rally, tracing
    from enos.phases import bench

    if options.dry_run:
        options.console.result("\n".join(bench.plan(bench.load(workload))))
        return
    with opened(options) as session:
        outcome = bench.run(session, workload)
    _tell(outcome, options)
    rally.judge(outcome.results)
    tracing.judge(outcome.results)
    options.console.next_command("enos backup")


def _tell(outcome: "Outcome", options: Options) -> None:
    from enos.bench.results import summary

    rows = summary(outcome.results)
    if options.json:
        options.console.result_json({"folder": str(outcome.folder), "scenarios": rows})
        return
    for row in rows:
        mean = row["mean"]
        seconds = "-" if mean is None else f"{mean:.2f} s"
        verdict = "passed" if row["ok"] else "failed"
        options.console.result(
            f"{verdict:<7} {seconds:>9}  {row['name']}: {row['verdict']}"
        )
    options.console.result(str(outcome.folder))
