"""`enos tc`: shape the network between groups, prove it, or undo it."""

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from enos.phases.session import Session
    from enos.phases.tc import Proof


@click.command("tc")
@click.option("--plan", "only_plan", is_flag=True, help="Print every command.")
@click.option("--test", "prove", is_flag=True, help="Measure and compare.")
@click.option("--reset", is_flag=True, help="Remove all constraints.")
@click.option(
    "--set",
    "between",
    metavar="GROUP,GROUP",
    help="Change the links between two groups.",
)
@click.option("--one-way", is_flag=True, help="With --set: not the way back.")
@click.argument("quantities", nargs=-1, metavar="[QUANTITY=VALUE]...")
@common
def command(
    options: Options,
    *,
    only_plan: bool,
    prove: bool,
    reset: bool,
    between: str | None,
    one_way: bool,
    quantities: tuple[str, ...],
) -> None:
    """Apply the network constraints; with --test compare asked and measured.

    With --set, change links by hand, as in `enos tc --set grp1,grp2 delay=50ms
    loss=1%`: what is not named stays as it is. Without, the links are those of the
    file again.
    """
    from enos.phases import byhand, dryrun, tc

    _refuse(between, quantities, one_way=one_way, modes=(only_plan, prove, reset))
    wish = (
        byhand.wish(between, quantities, one_way=one_way)
        if between is not None
        else None
    )
    if only_plan or options.dry_run:
        with opened(replace(options, dry_run=True)) as session:
            if prove or reset:
                lines = dryrun.proof(session) if prove else dryrun.reset(session)
            else:
                lines = tc.lines(session, wish)
        telling.plan(options, lines)
        return
    with opened(options) as session:
        if prove:
            _tell(tc.prove(session), options)
        elif reset:
            tc.reset(session)
        elif wish:
            tc.set_by_hand(session, wish)
        else:
            tc.run(session)
    if prove:
        after = telling.following(options, "bench", "--workload=demo")
        options.console.next_command(after)
    else:
        _end(options, session, "--reset" if reset else "--set" if wish else "")


def _refuse(
    between: str | None,
    quantities: tuple[str, ...],
    *,
    one_way: bool,
    modes: tuple[bool, bool, bool],
) -> None:
    if sum(modes) > 1:
        raise click.UsageError("choose one of --plan, --test and --reset")
    if between is None and (quantities or one_way):
        raise click.UsageError("quantities and --one-way go with --set")
    if between is not None and any(modes[1:]):
        raise click.UsageError("--set goes with none of --test and --reset")


def _end(options: Options, session: "Session", mode: str) -> None:
    words = ("tc",) if mode == "--reset" else ("tc", "--test")
    telling.done(
        options,
        f"tc {mode}".rstrip(),
        session.directory.path,
        after=telling.following(options, *words),
        phases=telling.facts(session, "tc"),
    )


def _tell(proof: "Proof", options: Options) -> None:
    from enos import netem
    from enos.phases import byhand
    from enos.report.heatmap import as_text

    if options.json:
        options.console.result_json(proof.to_json())
    else:
        rows = (netem.HEADER, *netem.table(proof.verdicts))
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        for row in rows:
            padded = (cell.ljust(w) for cell, w in zip(row, widths, strict=True))
            options.console.result(" ".join(padded).rstrip())
        for line in byhand.rows(proof.by_hand):
            options.console.result(line)
        if proof.matrix:
            options.console.result(f"\n{as_text(proof.matrix)}")
    netem.require(proof.verdicts)
