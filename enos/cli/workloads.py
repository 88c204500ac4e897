"""`enos workloads`: what `enos bench --workload=NAME` can run as it is."""

import click

from enos import content
from enos.cli.options import Options, common


@click.command("workloads")
@common
def command(options: Options) -> None:
    """List the workloads that come with enos."""
    found = content.names("workloads")
    if options.json:
        options.console.result_json(list(found))
        return
    for name in found:
        options.console.result(name)
