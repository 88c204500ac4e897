"""The walk through `resources` and `topology`, which have many forms.

`enos.config.topology` lists the forms; here they are told apart.
"""

import re
from collections.abc import Mapping
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
GROUP, ROLE_IN_GROUP, DEEPEST = 2, 3, 4
"""Length of the loc of a group, of a role right under it, of one under a flavour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A demand and where it is written."""

    machine: MachineDemand
    loc: Loc


@dataclass(slots=True, kw_only=True)
class Reader:
    """Collects machines and problems on a walk through a section.

    Attributes:
        model: the provider's `Machine`.
        names: groups and roles, those of impossible machines included.
        lost: a part could not be understood, so that `names` may lack some.

    """

    document: Document
    model: type[ProviderSettings]
    found: list[Placed] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    lost: bool = False

    @property
    def one_by_one(self) -> bool:
        """Tell whether the testbed's machines are written out rather than counted."""
        return any(key.is_required() for key in self.model.model_fields.values())

    def section(self, key: str) -> None:
        """Read `resources` or `topology`."""
        content = self.document.value[key]
        if not isinstance(content, dict) or not content:
            self.misshapen((key,), f"`{key}` must be a mapping of machines", COUNTED)
            return
        for name, inner in content.items():
            self.walk((key, name), inner)

    def walk(self, loc: Loc, content: Any) -> None:  # noqa: ANN401 - any YAML value
        """Read what stands under a flavour, group or role."""
        if isinstance(content, list) or self._is_machine(content):
            self._written_out(loc, content)
        elif not isinstance(content, dict):
            self._counted(loc, content)
        elif not content:
            what = f"`{loc[-1]}` holds no machines"
            self.misshapen(loc, what, "add a role, or remove it")
        elif len(loc) == DEEPEST:
            hint = "there are at most group, flavour, role"
            self.misshapen(loc, f"`{loc[-1]}` is one level too deep", hint)
        elif len({isinstance(inner, dict) for inner in content.values()}) > 1:
            hint = "give every role a flavour around it, or none"
            what = f"`{loc[-1]}` holds both roles and flavours"
            self.misshapen(loc, what, hint)
        else:
            for name, inner in content.items():
                self.walk((*loc, name), inner)

    def take(
        self,
        loc: Loc,
        group: str,
        roles: tuple[str, ...],
        keys: Mapping[str, Any] | None,
    ) -> None:
        """Take up machines, once for each group that a range names.

        Args:
            loc: where they stand.
            group: its name as written.
            roles: what each of them plays.
            keys: the rest of a MachineDemand; None when they are impossible.

        """
        advanced = loc[0] == "provider"
        group_loc = (*loc, "group") if advanced else loc[:GROUP]
        try:
            groups = expand(group)
        except ValueError as bad:
            self.misshapen(group_loc, str(bad))
            return
        self._check_name(group_loc, groups[0])
        for role in roles:
            self._check_name((*loc, "roles") if advanced else loc, role)
        self.names += [*groups, *roles]
        for one in groups if keys is not None else ():
            machine = MachineDemand(group=one, roles=roles, **(keys or {}))
            self.found.append(Placed(machine=machine, loc=loc))

    def wrong(self, loc: Loc, message: str, hint: str = "") -> None:
        """Take up a problem with a value."""
        self.problems.append(self.document.problem(loc, message, hint))

    def misshapen(self, loc: Loc, message: str, hint: str = "") -> None:
        """Take up a problem that hides what stands below a key."""
        self.lost = True
        self.problems.append(self.document.problem(loc, message, hint, key=True))

    def _is_machine(self, content: object) -> bool:
        if not isinstance(content, dict):
            return False
        if set(content) & set(keys_of(self.model)):
            return True
        scalars = [one for one in content.values() if not isinstance(one, dict | list)]
        return self.one_by_one and any(not isinstance(one, int) for one in scalars)

    def _counted(self, loc: Loc, number: object) -> None:
        role = str(loc[-1])
        group, flavour = self._place(loc)
        if self.one_by_one:
            keys = ", ".join(f"{key}: …" for key in keys_of(self.model)[:1])
            hint = f"this testbed does not count: write `{role}: {{{keys}}}`"
            self.wrong(loc, f"`{role}` must be a machine, not {kind_of(number)}", hint)
        elif wrong := _impossible(number):
            what = f"`{role}` must be a number of machines, not {kind_of(number)}"
            self.wrong(loc, what, wrong)
        else:
            keys_ = {"flavour": flavour, "number": number}
            self.take(loc, group, (role,), keys_)
            return
        self.take(loc, group, (role,), None)

    def _place(self, loc: Loc) -> tuple[str, str]:
        """Return the group and flavour that the keys above a role mean."""
        match [str(part) for part in loc[:-1]]:
            case ["resources", flavour]:
                return DEFAULT_GROUP, flavour
            case ["topology", group]:
                return group, ""
            case [_, group, flavour]:
                return group, flavour
            case ["topology"]:
                what = f"`{loc[-1]}` stands where a group should"
                self.misshapen(loc, what, "write `group: {role: number}`")
            case _:
                pass  # `resources: {role: number}`
        return DEFAULT_GROUP, ""

    def _written_out(self, loc: Loc, content: Any) -> None:  # noqa: ANN401 - as walk
        role = str(loc[-1])
        if not self.model.model_fields:
            what = f"`{role}` must be a number of machines, not {kind_of(content)}"
            self.misshapen(loc, what, COUNTED)
            return
        if len(loc) == DEEPEST:
            hint = "machines written out stand under a role, or a group and a role"
            self.misshapen(loc, f"`{role}` is one level too deep", hint)
            return
        group = str(loc[1]) if len(loc) == ROLE_IN_GROUP else self._place(loc)[0]
        for number, one in enumerate(
            content if isinstance(content, list) else [content]
        ):
            place = (*loc, number) if isinstance(content, list) else loc
            read, problems = attempt(self.document, self.model, one, place)
            self.problems += problems
            extra = read.model_dump(mode="json", exclude_unset=True) if read else {}
            self.take(place, group, (role,), {"extra": extra} if read else None)

    def _check_name(self, loc: Loc, name: str) -> None:
        """Refuse names that Ansible or the DNS would refuse later."""
        hint = "letters, digits, `_`, `-` and `.`, a letter first"
        if name in RESERVED:
            what, hint = f"`{name}` is a name of Ansible's own", "choose another"
        elif NAME.fullmatch(name):
            return
        else:
            what = f"`{name}` cannot be the name of a group or role"
        self.problems.append(self.document.problem(loc, what, hint, key=True))


def _impossible(number: object) -> str:
    """Return what to write instead of a number of machines, empty when it is fine."""
    if isinstance(number, bool) or not isinstance(number, int):
        return "write a whole number, 1 or more"
    if number < 1:
        return "1 or more; remove the line for none"
    return "" if number <= MOST else f"at most {MOST}"
