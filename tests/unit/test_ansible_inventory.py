"""Inventories that enos wrote are read again: which host is in which group."""

from hypothesis import given
from hypothesis import strategies as st

from enos.ansible.inventory import Group, Inventory, parse, render

NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_.-]{0,12}", fullmatch=True)
VALUES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=20)
SEVERAL = st.lists(NAMES, max_size=4, unique=True).map(tuple)
GROUPS = st.lists(
    st.builds(Group, name=NAMES, hosts=SEVERAL, children=SEVERAL),
    max_size=6,
    unique_by=lambda group: group.name,
).map(tuple)
HOSTS = st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), max_size=4)


@given(HOSTS, GROUPS)
def test_the_groups_of_an_inventory_are_those_it_was_written_with(
    hosts: dict[str, dict[str, str]], groups: tuple[Group, ...]
) -> None:
    written = render(Inventory(hosts=hosts, groups=groups))

    assert parse(written).groups == groups


def test_what_is_not_there_has_no_groups() -> None:
    assert parse("").groups == ()
