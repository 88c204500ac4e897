"""The walk through `resources` and `topology`, which have many forms.

`enos.config.topology` lists the forms; here they are told apart.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from enos.config.constraints import expand
from enos.config.source import Document, attempt
from enos.config.wording import keys_of, kind_of
from enos.config.yamltree import Loc, Problem
from enos.demand import MachineDemand
from enos.provider import ProviderSettings

DEFAULT_GROUP = "default_group"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
RESERVED = ("all", "ungrouped", "localhost")  # Ansible's own
MOST = 10_000
COUNTED = "write `flavour: {role: number}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A demand and where it is written."""

    machine: MachineDemand
    loc: Loc


@dataclass(slots=True, kw_only=True)
class Reader:
    """Collects machines and problems on a walk through a section."""

    document: Document
    model: type[ProviderSettings]
    found: list[Placed] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def one_by_one(self) -> bool:
        """Tell whether the testbed's machines are written out rather than counted."""
        return any(key.is_required() for key in self.model.model_fields.values())

    def section(self, key: str) -> None:
        """Read `resources` or `topology`."""
        content = self.document.value[key]
        if not isinstance(content, dict) or not content:
            self.wrong((key,), f"`{key}` must be a mapping of machines", COUNTED)
            return
        for name, inner in content.items():
            self.walk((key, name), inner)

    def walk(self, loc: Loc, content: Any) -> None:  # noqa: ANN401 - any YAML value
        """Read what stands under a flavour, group or role."""
        if isinstance(content, list) or self.is_machine(content):
            self.written_out(loc, content)
        elif not isinstance(content, dict):
            self.counted(loc, content)
        elif not content:
            self.wrong(
                loc, f"`{loc[-1]}` holds no machines", "add a role, or remove it"
            )
        elif len(loc) > 3:  # noqa: PLR2004 - section, group, flavour
            hint = "there are at most group, flavour, role"
            self.wrong(loc, f"`{loc[-1]}` is one level too deep", hint, key=True)
        elif len({isinstance(inner, dict) for inner in content.values()}) > 1:
            hint = "give every role a flavour around it, or none"
            what = f"`{loc[-1]}` holds both roles and flavours"
            self.wrong(loc, what, hint, key=True)
        else:
            for name, inner in content.items():
                self.walk((*loc, name), inner)

    def is_machine(self, content: object) -> bool:
        """Tell a machine that is written out from a mapping of roles."""
        if not isinstance(content, dict):
            return False
        if set(content) & set(keys_of(self.model)):
            return True
        scalars = [one for one in content.values() if not isinstance(one, dict | list)]
        return self.one_by_one and any(not isinstance(one, int) for one in scalars)

    def counted(self, loc: Loc, number: object) -> None:
        """Read a role with a number."""
        role = str(loc[-1])
        if self.one_by_one:
            keys = ", ".join(f"{key}: …" for key in keys_of(self.model)[:1])
            hint = f"this testbed does not count: write `{role}: {{{keys}}}`"
            self.wrong(loc, f"`{role}` must be a machine, not {kind_of(number)}", hint)
            return
        wrong = _impossible(number)
        if wrong:
            what = f"`{role}` must be a number of machines, not {kind_of(number)}"
            self.wrong(loc, what, wrong)
        group, flavour = self.place(loc)
        if not wrong and isinstance(number, int):
            self.add(loc, group, (role,), flavour=flavour, number=number)

    def place(self, loc: Loc) -> tuple[str, str]:
        """Return the group and flavour that the keys above a role mean."""
        match [str(part) for part in loc[:-1]]:
            case ["resources", flavour]:
                return DEFAULT_GROUP, flavour
            case ["topology", group]:
                return group, ""
            case [_, group, flavour]:
                return group, flavour
            case ["topology"]:
                hint = "write `group: {role: number}`"
                what = f"`{loc[-1]}` stands where a group should"
                self.wrong(loc, what, hint, key=True)
            case _:
                pass  # `resources: {role: number}`
        return DEFAULT_GROUP, ""

    def written_out(self, loc: Loc, content: Any) -> None:  # noqa: ANN401 - as walk
        """Read a role with a machine or a list of machines."""
        role, several = (
            str(loc[-1]),
            content if isinstance(content, list) else [content],
        )
        if not self.model.model_fields:
            what = f"`{role}` must be a number of machines, not {kind_of(content)}"
            self.wrong(loc, what, COUNTED)
            return
        if len(loc) > 3:  # noqa: PLR2004 - section, group, role
            hint = (
                "a machine that is written out stands under a role, or group and role"
            )
            self.wrong(loc, f"`{role}` is one level too deep", hint, key=True)
            return
        grouped = len(loc) == 3  # noqa: PLR2004 - as above
        group = str(loc[1]) if grouped else self.place(loc)[0]
        for number, one in enumerate(several):
            place = (*loc, number) if isinstance(content, list) else loc
            read, problems = attempt(self.document, self.model, one, place)
            self.problems += problems
            if read is not None:
                extra = read.model_dump(mode="json", exclude_unset=True)
                self.add(place, group, (role,), extra=extra)

    def add(
        self,
        loc: Loc,
        group: str,
        roles: tuple[str, ...],
        **rest: Any,  # noqa: ANN401 - fields of MachineDemand
    ) -> None:
        """Take up machines once for each group a range names."""
        try:
            groups = expand(group)
        except ValueError as bad:
            self.wrong(loc[:2], str(bad), key=True)
            return
        for name in (*groups[:1], *roles):
            self.check_name(loc, name)
        for one in groups:
            machine = MachineDemand(group=one, roles=roles, **rest)
            self.found.append(Placed(machine=machine, loc=loc))

    def check_name(self, loc: Loc, name: str) -> None:
        """Refuse names that Ansible or the DNS would refuse later."""
        hint = "letters, digits, `_`, `-` and `.`, a letter first"
        if name in RESERVED:
            what = f"`{name}` is a name of Ansible's own"
            self.wrong(loc, what, "choose another", key=True)
        elif not NAME.fullmatch(name):
            what = f"`{name}` cannot be the name of a group or role"
            self.wrong(loc, what, hint, key=True)

    def wrong(
        self, loc: Loc, message: str, hint: str = "", *, key: bool = False
    ) -> None:
        """Take up a problem."""
        self.problems.append(self.document.problem(loc, message, hint, key=key))


def _impossible(number: object) -> str:
    if isinstance(number, bool) or not isinstance(number, int):
        return "write a whole number, 1 or more"
    if number < 1:
        return "1 or more; remove the line for none"
    return "" if number <= MOST else f"at most {MOST}"
