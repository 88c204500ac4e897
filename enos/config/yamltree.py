"""YAML text to plain values that remember where each of them stood.

Scalars follow YAML 1.2 rather than PyYAML's 1.1, because the older rules surprise:
only `true` and `false` are booleans (`no` and `on` are text), `14:00:00` and
`2026-01-01` are text, and a number that would not print as it was written (`20.10`,
`010`, `1_000`) stays text. Keys are always text. `${NAME}` and `${NAME:-default}` are
replaced from the environment, `$${` stands for a literal `${`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Loc = tuple[str | int, ...]
"""Where a value is: ``("network_constraints", "constraints", 0, "dst")``."""

LIMIT = 100_000  # values; only nested aliases get there
MERGE = "<<"
LOOP = "an alias stands inside its own anchor"
PLAIN, QUOTED = "plain", "quoted"
CORE = "tag:yaml.org,2002:"
VARIABLE = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{"
)
WORDED = {
    r"found character '\t'": ("a tab is used for indentation", "indent with spaces"),
    "mapping values are not allowed": (
        "a `key: value` stands where none can be",
        "check the indentation of this line and of the one before",
    ),
    "expected <block end>": (
        "this line does not line up with the ones before",
        "keys of one mapping, and items of one list, start in the same column",
    ),
    "could not find expected ':'": (
        "a `:` is missing after a key",
        "write `key: value` with a space after the colon",
    ),
    "while parsing a flow": (
        "a `{…}` or `[…]` is not closed, or a `,` is missing in it",
        'inside them, quote names with brackets: `"grp[1-3]"`',
    ),
    "found undefined alias": (
        "an alias stands for nothing",
        "name what it stands for further up, with `&`",
    ),
    "expected a single document": (
        "a second document starts here",
        "keep one experiment or workload in a file and remove the `---`",
    ),
}
"""Part of PyYAML's wording → ours and a hint."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a file."""

    position: Position
    message: str
    hint: str = ""


class SyntaxProblem(Exception):  # noqa: N818 - carries a Problem, never reaches a user
    """The text is not YAML at all; its one argument is the Problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Plain values with their positions.

    Attributes:
        value: dict, list, str, int, float, bool or None.
        keys: where the key of each mapping entry stands.
        values: where each value starts.
        problems: what is wrong with the text as such (duplicate keys, …).

    """

    value: Any
    keys: Mapping[Loc, Position] = field(default_factory=dict)
    values: Mapping[Loc, Position] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def tree(text: str, environ: Mapping[str, str]) -> Tree:
    """Return the values of a YAML text; raises SyntaxProblem."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise SyntaxProblem(_syntax(error)) from None
    except yaml.reader.ReaderError as error:
        where = _of_offset(text, error.position)
        message = f"the character U+{error.character:04X} cannot be in a YAML file"
        problem = Problem(position=where, message=message, hint="remove it")
        raise SyntaxProblem(problem) from None
    if node is None:
        return Tree(value=None)
    builder = _Builder(environ)
    value = builder.build(node, ())
    return Tree(
        value=value,
        keys=builder.keys,
        values=builder.values,
        problems=tuple(builder.problems),
    )


def scalar(text: str) -> str | int | float | bool | None:
    """Return what an unquoted word means.

    >>> [scalar(word) for word in ("5", "20.10", "2026.1", "14:00:00", "no", "true")]
    [5, '20.10', 2026.1, '14:00:00', 'no', True]
    """
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if len(text) <= 32 and text[-1].isdigit():  # noqa: PLR2004 - longer is no number
        for kind in (int, float):
            try:
                number = kind(text)
            except ValueError:
                continue
            if str(number) == text:
                return number
    return text


class _Loader(yaml.SafeLoader):
    """Composes nodes and leaves their meaning to `scalar`."""

    def resolve(
        self,
        kind: type[yaml.Node],  # noqa: ARG002 - PyYAML's signature
        value: str | None,  # noqa: ARG002 - PyYAML's signature
        implicit: tuple[bool, bool] | bool,  # noqa: FBT001 - PyYAML's signature
    ) -> str:
        """Return a word that tells plain scalars from quoted ones."""
        return PLAIN if isinstance(implicit, tuple) and implicit[0] else QUOTED


class _Builder:
    """Turns nodes into values; collects positions and problems on the way."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.keys: dict[Loc, Position] = {}
        self.values: dict[Loc, Position] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()

    def build(self, node: yaml.Node, loc: Loc) -> Any:  # noqa: ANN401 - any YAML value
        """Return the value of a node."""
        self.values[loc] = _position(node)
        if id(node) in self._open:
            self._wrong(node, LOOP, "remove it")
            return None
        if len(self.values) > LIMIT:
            message = f"the aliases unfold to more than {LIMIT} values"
            raise SyntaxProblem(Problem(position=_position(node), message=message))
        self._check_tag(node)
        self._open.add(id(node))
        try:
            return self._value(node, loc)
        finally:
            self._open.discard(id(node))

    def _value(self, node: yaml.Node, loc: Loc) -> Any:  # noqa: ANN401 - as build
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*loc, n)) for n, item in enumerate(node.value)]
        text = self._substituted(node, node.value)
        return text if node.tag in (QUOTED, CORE + "str") else scalar(text)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == PLAIN and key.value == MERGE:
                merged += (
                    value.value if isinstance(value, yaml.SequenceNode) else [value]
                )
            elif not isinstance(key, yaml.ScalarNode) or not key.value:
                self._wrong(key, "a key must be one word", "write `key: value`")
            elif key.value in result:
                first = self.keys[*loc, key.value].line
                hint = f"it is on line {first} as well; keep one of them"
                self._wrong(key, f"`{key.value}` is given twice", hint)
            else:
                self.keys[*loc, key.value] = _position(key)
                result[key.value] = self.build(value, (*loc, key.value))
        for other in merged:
            self._merge(other, loc, result)
        return result

    def _merge(self, node: yaml.Node, loc: Loc, into: dict[str, Any]) -> None:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, f"`{MERGE}` needs a mapping", "write `<<: *anchor`")
            return
        own = dict(into)
        kept_keys, kept_values = dict(self.keys), dict(self.values)
        if id(node) in self._open:
            self._wrong(node, LOOP, "remove it")
            return
        self._open.add(id(node))
        into.update(self._mapping(node, loc))
        self._open.discard(id(node))
        into.update(own)  # what is written out wins over what is merged
        self.keys.update(kept_keys)
        self.values.update(kept_values)

    def _substituted(self, node: yaml.Node, text: str) -> str:
        def replacement(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name, default = match["name"], match["default"]
            if name is None:
                hint = "write `${NAME}`, `${NAME:-default}`, or `$${` for a plain `${`"
                self._wrong(node, "`${` does not name a variable", hint)
                return ""
            if name in self.environ:
                return self.environ[name]
            if default is None:
                hint = f"set it, or give a default: `${{{name}:-…}}`"
                self._wrong(node, f"the environment has no variable `{name}`", hint)
                return ""
            return str(default)

        return VARIABLE.sub(replacement, text) if "${" in text else text

    def _check_tag(self, node: yaml.Node) -> None:
        known = ("str", "int", "float", "bool", "null", "map", "seq")
        if node.tag in (PLAIN, QUOTED) or node.tag.removeprefix(CORE) in known:
            return
        tag = node.tag.replace(CORE, "!!")
        self._wrong(node, f"the tag `{tag}` is unknown", "remove it")

    def _wrong(self, node: yaml.Node, message: str, hint: str = "") -> None:
        where = _position(node)
        self.problems.append(Problem(position=where, message=message, hint=hint))


def _position(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _of_offset(text: str, offset: int) -> Position:
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - before.rfind("\n"))


def _syntax(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
    said = f"{error.context or ''} {error.problem or error}".strip()
    for part, (message, hint) in WORDED.items():
        if part in said:
            return Problem(position=where, message=message, hint=hint)
    return Problem(position=where, message=f"not YAML: {said}")
