"""The reference of the command line is click's help: `--update-golden` writes it."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from enos.cli import COMMANDS, cli

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
HEAD = """\
# The command line

What `enos COMMAND --help` prints, for every command. Results go to the standard output,
everything else to the standard error; [exit codes](exit-codes.md) tell what kind of
failure it was.

`--dry-run` changes nothing: no directory is made, no lock taken, no process ended.
Machines that are there are asked what they can do, and nothing more. Only the cache may
grow, by the Python environment of kolla-ansible that inventories are derived from. A
command that only reads does the same with `--dry-run` as without; `enos images list`
and `enos images prune` open the store of images to look into it.

With `--json` the standard output is one JSON value. Commands that read or list print
what they found. Commands that change something print, once they are done:

| key | value |
| --- | --- |
| `did` | the command; of `enos os` the action or the command of kolla-ansible |
| `seconds` | how long it took |
| `where` | the experiment directory, or the file or address that came of it |
| `phases` | of `up`, `init`, `deploy` and `tc`: phase → its `seconds` and `facts` |
| `measured` | of `backup`: what is missing of the measures; null without monitoring |
| `next` | the command that usually follows, or null |

With `--dry-run` they print `{"plan": [...]}`, a text for each line. A command that
fails prints no JSON unless it has results to show; its exit code tells. `enos ssh` and
`enos new` have no `--json`.
"""


def commands(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, str]]:
    """Yield name and help of a command, then of those below it."""
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, opened(below, name, parent=context))


def opened(
    command: click.Command,
    name: str,
    *,
    parent: click.Context | None = None,
    width: int | None = None,
) -> click.Context:
    """Return the context click makes for a command before it reads any argument."""
    settings = command.context_settings
    return click.Context(
        command, info_name=name, parent=parent, terminal_width=width, **settings
    )


def page() -> str:
    top = opened(cli, "enos", width=88)
    parts = [HEAD]
    for name, told in commands(cli, top):
        parts.append(f"## {name}\n\n```text\n{told}\n```\n")
    return "\n".join(parts)


def test_the_reference_is_what_help_prints(request: pytest.FixtureRequest) -> None:
    expected = page()
    if request.config.getoption("--update-golden"):
        PAGE.write_text(expected, encoding="utf-8")

    text = PAGE.read_text(encoding="utf-8")
    assert text == expected
    assert [name for name in COMMANDS if f"\n## enos {name}\n" not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_are_explained(name: str) -> None:
    top = click.Context(cli, info_name="enos")
    command = cli.get_command(top, name)

    assert command is not None
    assert (command.help or "").partition("\n")[0].endswith(".")
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []
