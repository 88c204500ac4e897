"""`enos workloads`: what `enos bench --workload=NAME` can run as it is."""

import click

from enos import content
from enos.cli.options import Options, common


@click.command("workloads")
@common
def command(options: Options) -> None:
    """List the workloads that come with enos."""
    rows = {name: content.purpose(name) for name in content.names("workloads")}
    if options.json:
        options.console.result_json(rows)
        return
    for name, line in rows.items():
        options.console.result(f"{name:<12} {line}")
