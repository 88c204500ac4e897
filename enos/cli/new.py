"""`enos new`: a commented experiment file to start from."""

from pathlib import Path

import click

from enos import plugins
from enos.cli import telling
from enos.cli.options import EXPERIMENT, Options, common_without_json
from enos.errors import ConfigError


@click.command("new")
@click.option("-p", "--provider", default="local", show_default=True, help="Testbed.")
@click.argument("file", type=click.Path(path_type=Path), default=EXPERIMENT)
@common_without_json
def command(options: Options, provider: str, file: Path) -> None:
    """Write a commented experiment file to FILE (by default `experiment.yml`).

    FILE `-` prints it.
    """
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
        hint = "name a file in a folder that is there and may be written to"
        raise ConfigError(
            f"`{file}` cannot be written: {bad.strerror}", hint=hint
        ) from bad
    after = telling.following(options, "check", "-f", str(file))
    options.console.next_command(after)
