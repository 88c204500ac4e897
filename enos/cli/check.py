"""`enos check`: validate an experiment file and print what it would do."""

from pathlib import Path

import click

from enos.cli import telling
from enos.cli.options import EXPERIMENT_FILE, Options, common


@click.command("check")
@EXPERIMENT_FILE
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the file.")
@common
def command(options: Options, *, file: Path, schema: bool) -> None:
    """Print the machines, inventory, Kolla settings and network rules of a file."""
    from enos import content
    from enos.config.schema import experiment_schema
    from enos.phases import check
    from enos.process import LocalShell
    from enos.toolenvs import ToolEnvironments

    if schema:
        options.console.result_json(experiment_schema())
        return
    console = options.console
    with console.drawing():
        tools = ToolEnvironments(
            cache=options.cache,
            shell=LocalShell(session="enos-check"),
            progress=console,
        )
        told = check.run(content.find("topologies", file), tools)
    if options.json:
        console.result_json(told.values)
    else:
        console.result(told.text)
    console.next_command(telling.following(options, "deploy", "-f", str(file)))
