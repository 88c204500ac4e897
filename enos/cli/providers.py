"""`enos providers`: the testbeds enos can use."""

import click

from enos import plugins
from enos.cli.options import Options, common


@click.command("providers")
@common
def command(options: Options) -> None:
    """List the testbeds enos can use, third-party plug-ins included."""
    found = plugins.providers()
    rows = {
        name: (kind.__doc__ or "").partition("\n")[0] for name, kind in found.items()
    }
    if options.json:
        options.console.result_json(rows)
        return
    for name, line in rows.items():
        options.console.result(f"{name:<12} {line}")
