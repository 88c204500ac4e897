"""`enos new`: a commented experiment file to start from."""

from pathlib import Path

import click

from enos import plugins
from enos.cli.options import Options, common
from enos.errors import ConfigError


@click.command("new")
@click.option("-p", "--provider", default="local", show_default=True, help="Testbed.")
@click.argument("file", type=click.Path(path_type=Path), default="experiment.yml")
@common
def command(options: Options, provider: str, file: Path) -> None:
    """Write a commented experiment file for a testbed to FILE, `-` for stdout."""
    text = plugins.provider(provider).sample
    if options.dry_run or str(file) == "-":
        options.console.result(text.rstrip())
        return
    try:
        with file.open("x", encoding="utf-8") as sink:
            sink.write(text)
    except FileExistsError:
        hint = "name another file, or remove it"
        raise ConfigError(f"`{file}` already exists", hint=hint) from None
    except OSError as bad:
        raise ConfigError(f"`{file}` cannot be written: {bad.strerror}") from bad
    options.console.next_command(f"enos check -f {file}")
