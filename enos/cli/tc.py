"""`enos tc`: shape the network between groups, prove it, or undo it."""

from typing import TYPE_CHECKING

import click

from enos.cli.opening import opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from enos.phases.tc import Proof


@click.command("tc")
@click.option("--plan", "only_plan", is_flag=True, help="Print every command.")
@click.option("--test", "prove", is_flag=True, help="Measure and compare.")
@click.option("--reset", is_flag=True, help="Remove all constraints.")
@common
def command(options: Options, *, only_plan: bool, prove: bool, reset: bool) -> None:
    """Apply the network constraints; with --test compare asked and measured."""
    from enos.phases import tc

    if sum((only_plan, prove, reset)) > 1:
        raise click.UsageError("choose one of --plan, --test and --reset")
    with opened(options) as session:
        if only_plan or options.dry_run:
            options.console.result("\n".join(tc.lines(session)))
            return
        if prove:
            _tell(tc.prove(session), options)
        elif reset:
            tc.reset(session)
        else:
            tc.run(session)
    after = "enos bench --workload=demo" if prove else "enos tc --test"
    options.console.next_command("enos tc" if reset else after)


def _tell(proof: "Proof", options: Options) -> None:
    from enos import netem

    if options.json:
        options.console.result_json(proof.to_json())
    else:
        rows = (netem.HEADER, *netem.table(proof.verdicts))
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        for row in rows:
            padded = (cell.ljust(w) for cell, w in zip(row, widths, strict=True))
            options.console.result(" ".join(padded).rstrip())
    netem.require(proof.verdicts)
