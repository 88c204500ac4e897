"""`enos images`: the container images of OpenStack."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enos.cli import telling
from enos.cli.opening import begun, opened
from enos.cli.options import Options, common

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enos.images.ready import Workplace
    from enos.images.registry import Registry
    from enos.phases.session import Session

FILE = click.option(
    "-f", "--file", type=click.Path(path_type=Path),
    help="Experiment file; without it the current experiment.",
)  # fmt: skip
INSECURE = click.option(
    "--insecure", is_flag=True, help="Speak HTTP without TLS to registries."
)


@click.group("images")
def command() -> None:
    """List, build, push, compare, synchronise and remove container images."""


@command.command("list")
@FILE
@common
def list_(options: Options, file: Path | None) -> None:
    """Tell which images the experiment needs, and which are there."""
    from enos.phases import images

    with _session(options, file, only_look=True) as session:
        rows = images.listing(session)
    if options.json:
        options.console.result_json([row.to_json() for row in rows])
        return
    for row in rows:
        options.console.result(f"{row.state:7} {row.reference}")


@command.command("build")
@FILE
@common
def build(options: Options, file: Path | None) -> None:
    """Have the images of the experiment: pull or build what is missing."""
    from enos.phases import dryrun, images

    with _session(options, file) as session:
        if options.dry_run:
            telling.plan(options, dryrun.built(session))
            return
        done = images.make(session)
        source = session.directory.load().source
    if options.json:
        options.console.result_json(dict(done.digests))
    options.console.next_command(telling.anew(options, source, "up"))


@command.command("push")
@click.argument("registry")
@INSECURE
@FILE
@common
def push(options: Options, registry: str, file: Path | None, *, insecure: bool) -> None:
    """Push the images of the experiment to a REGISTRY (host:port)."""
    from enos.phases import dryrun, images

    there = _registry(registry, insecure=insecure)
    with _session(options, file) as session:
        if options.dry_run:
            telling.plan(options, dryrun.pushed(session, there.host))
            return
        sent = images.send_all(session, there)
    if options.json:
        options.console.result_json(list(sent))
        return
    for reference in sent:
        options.console.result(reference)


@command.command("diff")
@click.argument("left")
@click.argument("right")
@common
def diff(options: Options, left: str, right: str) -> None:
    """Show packages that two sets of images have at different versions.

    A set is named NAMESPACE:TAG, as in `kolla:2026.1-0123456789ab`.
    """
    from enos.phases import images

    with _workplace(options) as place:
        found = images.compare(place, left, right)
    if options.json:
        from dataclasses import asdict

        options.console.result_json([asdict(one) for one in found])
    else:
        options.console.result(images.table(found))


@command.command("sync")
@click.argument("source")
@click.argument("target")
@click.option("--prefix", default="", help="Only repositories that begin with it.")
@INSECURE
@common
def sync(
    options: Options, source: str, target: str, prefix: str, *, insecure: bool
) -> None:
    """Make registry TARGET hold what SOURCE holds, removing what is gone there."""
    from enos.phases import images

    console = options.console
    with console.drawing():
        plan = images.synchronise(
            _registry(source, insecure=insecure),
            _registry(target, insecure=insecure),
            prefix,
            console,
            dry_run=options.dry_run,
        )
    if options.json:
        names = {"copied": plan.copies, "removed": plan.removals}
        told = {
            word: [f"{repository}:{tag}" for repository, tag in pairs]
            for word, pairs in names.items()
        }
        options.console.result_json(told)
        return
    for sign, pairs in (("+", plan.copies), ("-", plan.removals)):
        for repository, tag in pairs:
            options.console.result(f"{sign} {repository}:{tag}")


@command.command("prune")
@click.option(
    "--experiments", multiple=True, metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another folder whose experiments keep their images; can be repeated.",
)  # fmt: skip
@common
def prune(options: Options, experiments: tuple[Path, ...]) -> None:
    """Remove images of earlier recipes that enos built.

    What experiments beside you run, what this enos would build and the newest of each
    OpenStack release stay.
    """
    from enos.images.prune import prune as remove
    from enos.phases import images

    folders = [options.cwd, *experiments]
    if options.env is not None:
        folders.append(options.env.resolve().parent)
    with _workplace(options) as place:
        plan = images.prunable(place, folders)
        left = () if options.dry_run else remove(place, plan)
    if options.json:
        told = {"removed": plan.images, "kept": plan.kept, "in_use": left}
        options.console.result_json(told)
        return
    for tag, why in plan.kept.items():
        options.console.result(f"  {tag}: {why}")
    for image in plan.images:
        sign = " " if image in left else "-"
        options.console.result(f"{sign} {image}{': in use' * (image in left)}")


@contextmanager
def _session(
    options: Options, file: Path | None, *, only_look: bool = False
) -> "Iterator[Session]":
    from enos import content

    if file is None:
        with opened(options) as session:
            yield session
    else:
        found = content.find("topologies", file)
        with begun(options, found, only_look=only_look) as session:
            yield session


@contextmanager
def _workplace(options: Options) -> "Iterator[Workplace]":
    from enos.phases import images
    from enos.state.directory import CURRENT

    if options.env is not None or (options.cwd / CURRENT).exists():
        with opened(options, reread=False) as session, images.daemon_of(session) as own:
            yield own
    else:
        console = options.console
        with console.drawing():
            yield images.alone(console, options.cache)


def _registry(host: str, *, insecure: bool) -> "Registry":
    from enos.images.registry import Registry

    return Registry(host=host, insecure=insecure)
