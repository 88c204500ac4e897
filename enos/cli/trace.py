"""`enos trace`: what happened inside OpenStack while a scenario ran."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enos.cli import telling
from enos.cli.opening import opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from enos.phases.traced import Traced


@click.group("trace")
def command() -> None:
    """List, show and compare the traces of requests."""


@command.command("list")
@click.argument("what", default="")
@common
def list_(options: Options, what: str) -> None:
    """List the traces there are: run/scenario, iteration, id.

    WHAT leaves out the others: named as for `enos trace show`, an archive too.
    """
    from enos.phases import traced

    with _several(options, what) as (several, which):
        found = traced.find(several, which) if which else several
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
    help="Folder for the pages; without it, beside the traces, of an archive the "
    "current one.",
)  # fmt: skip
@common
def show(
    options: Options, what: str, *, tree: bool, html: bool, output: Path | None
) -> None:
    """Show where the time of traces went.

    WHAT is a run, a scenario, run/scenario, or the beginning of a trace's id; without
    it, the latest run. An archive is read anywhere: ARCHIVE or ARCHIVE/WHAT.
    """
    with _found(options, what) as found:
        if html:
            _write(found, output, options)
        elif options.json:
            _show_json(found, options, every=tree)
        else:
            _show(found, options, every=tree)
            words = ("trace", "show", "--html", *((what,) if what else ()))
            options.console.next_command(telling.following(options, *words))


def _write(found: "Sequence[Traced]", output: Path | None, options: Options) -> None:
    from enos.phases import traced

    folder = output or (options.cwd if found[0].archive else None)
    if options.dry_run:
        several = ((one, file) for one in found for file in one.files)
        pages = tuple(traced.page_path(one, file, folder) for one, file in several)
    else:
        pages = traced.write_pages(found, folder)
    if options.json:
        options.console.result_json({"pages": [str(page) for page in pages]})
    else:
        options.console.result("\n".join(map(str, pages)))


def _show_json(found: "Sequence[Traced]", options: Options, *, every: bool) -> None:
    from enos.traces import text

    told = (text.as_json(one.label, one.trees, one.lab, every=every) for one in found)
    options.console.result_json(list(told))


def _show(found: "Sequence[Traced]", options: Options, *, every: bool) -> None:
    from enos.traces import text

    for one in found:
        trees = one.trees
        options.console.result(text.report(one.label, trees, one.lab))
        for each in trees if every else ():
            options.console.result(f"\n{text.spans(each)}")


@command.command("diff")
@click.argument("before")
@click.argument("after")
@common
def diff(options: Options, before: str, after: str) -> None:
    """Tell which calls grew between two runs, scenarios or traces.

    BEFORE and AFTER are named as for `enos trace show`, archives too.
    """
    from enos.phases import traced

    with _found(options, before) as old, _found(options, after) as new:
        _tell(traced.paired(old, new), options)


@contextmanager
def _found(options: Options, what: str) -> "Iterator[tuple[Traced, ...]]":
    """Give the traced scenarios a word stands for; an archive's go with the context."""
    from enos.phases import traced

    with _several(options, what) as (several, which):
        yield traced.find(several, which)


@contextmanager
def _several(options: Options, what: str) -> "Iterator[tuple[tuple[Traced, ...], str]]":
    """Give all there are of what a word names, and what it means among them."""
    from enos.phases import traced

    place = traced.inside(what)
    if place:
        with traced.of_archive(place[0]) as several:
            yield several, place[1]
        return
    with opened(options, reread=False, lock=False) as session:
        results = session.directory.results
    yield traced.kept(results), what


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
