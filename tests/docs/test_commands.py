"""Commands and targets the documentation and enos itself tell people to type exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from enos.cli import COMMANDS, cli

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
CONSOLE = re.compile(r"^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"^```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(?P<line>(?:enos|make) [^`\n]+)`")
TARGETS = set(
    re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
)
OTHERS = {"cd", "docker", "export", "git", "openstack", "pip", "pytest", "python3"}
"""Programs of others that console blocks may show."""


def typed() -> Iterator[tuple[str, str]]:
    """Yield place and command for each line behind a prompt, or of enos in a script."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in CONSOLE.finditer(text):
            first = text[: block.start()].count("\n") + 2
            for number, line in enumerate(block["text"].splitlines(), first):
                if line.startswith("$ "):
                    yield f"{page.relative_to(ROOT)}:{number}", line[2:]
        for script in SCRIPT.finditer(text):
            first = text[: script.start()].count("\n") + 2
            for number, line in enumerate(script["text"].splitlines(), first):
                if line.strip().startswith("enos "):
                    yield f"{page.relative_to(ROOT)}:{number}", line.strip()


def mentioned() -> Iterator[tuple[str, str]]:
    """Yield place and command for each `enos …` or `make …` in running text."""
    code = sorted((*(ROOT / "enos").rglob("*.py"), *(ROOT / "providers").rglob("*.py")))
    for page in (*PAGES, *code):
        text = page.read_text(encoding="utf-8")
        for match in SPAN.finditer(text):
            number = text[: match.start()].count("\n") + 1
            if not re.search("[{<…]|COMMAND", match["line"]):  # stands for others
                yield f"{page.relative_to(ROOT)}:{number}", match["line"]


TYPED = dict(typed())
MENTIONED = dict(mentioned())


def parse(words: list[str], folder: Path) -> None:
    """Parse a command line as enos would, down to the last sub-command.

    Raises click.UsageError. The files the line names are made first.
    """
    for word in words:
        if not word.startswith("-") and not (folder / word).exists():
            (folder / word).parent.mkdir(parents=True, exist_ok=True)
            (folder / word).touch()
    command: click.Command = cli
    context = command.make_context("enos", list(words))
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            raise click.UsageError(f"{words} stops at a group of commands")
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        context = command.make_context(str(name), rest, parent=context)


@pytest.mark.parametrize("place", TYPED)
def test_a_command_in_a_console_block_can_be_typed(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(TYPED[place], comments=True)

    if program == "enos":
        parse(words, tmp_path)
    elif program == "make":
        assert set(words) <= TARGETS
    else:
        assert Path(program).name in OTHERS


@pytest.mark.parametrize("place", MENTIONED)
def test_a_command_in_running_text_exists(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(MENTIONED[place])

    if program == "make":
        assert set(words) <= TARGETS
    elif not words[0].startswith("-") and len(words) == 1:
        assert words[0] in COMMANDS
    elif "--help" in words:
        with pytest.raises(click.exceptions.Exit):
            parse(words, tmp_path)
    else:
        parse(words, tmp_path)


def test_there_are_commands_to_look_at() -> None:
    assert len(TYPED) >= 10
    assert len(MENTIONED) >= 20
