"""`enos trace`: what happened inside OpenStack while a scenario ran."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from enos.cli.opening import opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enos.phases.trace import Traced


@click.group("trace")
def command() -> None:
    """List, show and compare the traces of requests."""


@command.command("list")
@common
def list_(options: Options) -> None:
    """List the traces there are: run/scenario, iteration, id."""
    from enos.phases import trace

    with opened(options, reread=False, lock=False) as session:
        found = trace.kept(session)
    rows = [(one.label, *_words(file)) for one in found for file in one.files]
    if options.json:
        keys = ("scenario", "iteration", "id")
        options.console.result_json([dict(zip(keys, r, strict=True)) for r in rows])
        return
    for label, iteration, name in rows:
        options.console.result(f"{label}  {iteration}  {name}")


@command.command("show")
@click.argument("what", default="")
@click.option("--tree", is_flag=True, help="Every span, callees below their callers.")
@click.option("--html", is_flag=True, help="Write a page for each trace.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="Folder for the pages; without it, beside the traces.",
)  # fmt: skip
@common
def show(
    options: Options, what: str, *, tree: bool, html: bool, output: Path | None
) -> None:
    """Show where the time of traces went.

    WHAT is a run, a scenario, run/scenario, or the beginning of a trace's id; without
    it, the latest run.
    """
    from enos.phases import trace
    from enos.traces import text

    with opened(options, reread=False, lock=False) as session:
        found = trace.find(trace.kept(session), what)
        pages = trace.write_pages(found, output) if html else ()
    if html:
        options.console.result("\n".join(map(str, pages)))
        return
    if options.json:
        told = (
            text.as_json(one.label, one.trees, one.lab, every=tree) for one in found
        )
        options.console.result_json(list(told))
        return
    for one in found:
        trees = one.trees
        options.console.result(text.report(one.label, trees, one.lab))
        for each in trees if tree else ():
            options.console.result(f"\n{text.spans(each)}")
    options.console.next_command("enos trace show --html")


@command.command("diff")
@click.argument("before")
@click.argument("after")
@common
def diff(options: Options, before: str, after: str) -> None:
    """Tell which calls grew between two runs, scenarios or traces.

    BEFORE and AFTER are named as for `enos trace show`.
    """
    from enos.phases import trace

    with opened(options, reread=False, lock=False) as session:
        found = trace.kept(session)
        pairs = trace.paired(trace.find(found, before), trace.find(found, after))
    _tell(pairs, options)


def _tell(pairs: "Sequence[tuple[Traced, Traced]]", options: Options) -> None:
    from dataclasses import asdict

    from enos.traces import compare, text

    plain = []
    for old, new in pairs:
        was = compare.Side(trees=old.trees, lab=old.lab)
        now = compare.Side(trees=new.trees, lab=new.lab)
        rows = compare.grown(was, now)
        if options.json:
            each = [{**asdict(row), "sure": row.sure} for row in rows]
            seconds = [was.seconds, now.seconds]
            names = {"before": old.label, "after": new.label}
            plain.append({**names, "seconds": seconds, "operations": each})
        else:
            options.console.result(f"{old.label} > {new.label}")
            options.console.result(text.difference(was, now, rows))
    if options.json:
        options.console.result_json(plain)


def _words(file: Path) -> tuple[int, str]:
    number, _, name = file.name.removesuffix(".json.gz").partition("-")
    return int(number), name
