"""Reading and validating the YAML files people write, with positions in all errors.

`read` gives a Document, `validate` a pydantic model of it; both name every problem of
the file at once, one ``file:line:column: message`` a line, in one ConfigError.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from enos.config.wording import worded
from enos.config.yamltree import Loc, Position, Problem, SyntaxProblem, Tree, tree
from enos.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A YAML file whose top level is a mapping.

    Attributes:
        path: as the user gave it, for messages.
        text: the file, verbatim.
        value: its content as plain values, variables replaced.
        problems: what is wrong with the text as such; `validate` reports it too.

    """

    path: Path
    text: str
    value: Mapping[str, Any]
    tree: Tree

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the text as such, duplicate keys for instance."""
        return self.tree.problems

    def at(self, loc: Loc, *, key: bool = False) -> Position:
        """Return where a value, or its key, stands.

        Parts of `loc` that the file does not have (a normalised form, a name of
        pydantic's) are passed over; the nearest value around is found instead.
        """
        found: Loc = ()
        for part in loc:
            if (*found, part) in self.tree.values:
                found = (*found, part)
        places = self.tree.keys if key and found in self.tree.keys else self.tree.values
        return places.get(found, Position(1, 1))

    def problem(
        self, loc: Loc, message: str, hint: str = "", *, key: bool = False
    ) -> Problem:
        """Return a problem with the value, or the key, at a place."""
        return Problem(position=self.at(loc, key=key), message=message, hint=hint)

    def failure(self, problems: Iterable[Problem]) -> ConfigError:
        """Return the error that tells all problems, in the order of the file."""
        return _failure(self.path, problems)


def read(
    path: Path,
    *,
    environ: Mapping[str, str] | None = None,
    hint: str = "`enos new` writes a file to start from",
) -> Document:
    """Return the content of a file.

    Args:
        path: a YAML file, UTF-8.
        environ: what `${NAME}` stands for, by default this process's environment.
        hint: what to do with a file that is no mapping.

    Raises:
        ConfigError: it cannot be read, is not YAML or not a mapping.

    """
    text = _text(path)
    try:
        found = tree(text, os.environ if environ is None else environ)
    except SyntaxProblem as syntax:
        raise _failure(path, syntax.args) from None
    if isinstance(found.value, dict):
        return Document(path=path, text=text, value=found.value, tree=found)
    position = found.values.get((), Position(1, 1))
    message = (
        "the file is empty"
        if found.value is None
        else "the top level must be `key: value` lines"
    )
    problem = Problem(position=position, message=message, hint=hint)
    raise _failure(path, [problem])


def validate(document: Document, model: type[M], loc: Loc = ()) -> M:
    """Return the model of a document, or of the part of it at `loc`.

    Raises ConfigError with all problems of the file and of its values.
    """
    result, problems = attempt(document, model, value_at(document, loc), loc)
    if result is None or document.problems or problems:
        raise document.failure((*document.problems, *problems))
    return result


def attempt(
    document: Document,
    model: type[M],
    value: Any,  # noqa: ANN401 - any YAML value
    loc: Loc = (),
) -> tuple[M | None, tuple[Problem, ...]]:
    """Return the model of a value that stands at `loc`, or None, and its problems."""
    try:
        return model.model_validate(value), ()
    except ValidationError as error:
        found = tuple(
            _positioned(document, model, dict(one), loc)
            for one in error.errors(include_url=False)
        )
        return None, _without_echoes(found)


def value_at(document: Document, loc: Loc) -> Any:  # noqa: ANN401 - any YAML value
    """Return the plain value at a place that exists."""
    value: Any = document.value
    for part in loc:
        value = value[part]
    return value


def _positioned(
    document: Document, model: type[BaseModel], error: Mapping[str, Any], loc: Loc
) -> Problem:
    wording = worded(error, model, loc)
    place = (*loc, *error["loc"])
    return document.problem(
        place, wording.message, wording.hint, key=wording.about_the_key
    )


def _without_echoes(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Leave out that a key is missing where a misspelt one was found."""
    misspelt = {one.hint.removeprefix("did you mean ").rstrip("?") for one in problems}
    return tuple(
        one
        for one in problems
        if one.message.removesuffix(" is missing") not in misspelt
    )


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = "name a file with `-f`, or write one with `enos new`"
        raise ConfigError(f"there is no file `{path}`", hint=hint) from None
    except OSError as error:
        hint = "name a file that this account may read"
        raise ConfigError(
            f"`{path}` cannot be read: {error.strerror}", hint=hint
        ) from None
    except UnicodeDecodeError as error:
        hint = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        raise ConfigError(f"`{path}` is not a text file", hint=hint) from None


def _failure(path: Path, problems: Iterable[Problem]) -> ConfigError:
    lines = []
    for one in sorted(set(problems), key=lambda one: (one.position, one.message)):
        where = f"{path}:{one.position.line}:{one.position.column}"
        lines.append(f"{where}: {one.message}{f' ({one.hint})' if one.hint else ''}")
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return ConfigError(f"`{path}` has {count}", details="\n".join(lines))
