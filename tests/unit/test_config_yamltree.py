import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from enos.config.yamltree import Position, SyntaxProblem, scalar, tree

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("ab c'\"#:-é"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc-_", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abcdef"), PLAIN, max_size=4))
def test_what_pyyaml_writes_is_read_back(value: dict[str, object]) -> None:
    text = yaml.safe_dump(value)
    assert tree(text, {}).value == value


@given(st.text("{}[]:,-|>'\"#&*!?% \n\tab01$<~"))
def test_any_text_is_read_or_refused_with_a_position(text: str) -> None:
    try:
        problems = tree(text, {}).problems
    except SyntaxProblem as refused:
        problems = refused.args
    assert all(one.position >= Position(1, 1) for one in problems)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("14:00:00", "14:00:00"),
        ("20.10", "20.10"),
        ("2026.1", 2026.1),
        ("2020-02-29 19:00:00", "2020-02-29 19:00:00"),
        ("yes", "yes"),
        ("off", "off"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("010", "010"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("1e3", "1e3"),
        ("-5", -5),
        ("-0", "-0"),
        (".5", ".5"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("~", None),
        ("", None),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_an_unquoted_word_means_what_its_author_expects(
    text: str, meaning: object
) -> None:
    found = scalar(text)
    assert found == meaning
    assert type(found) is type(meaning)


@given(st.integers(-(10**12), 10**12) | st.floats(-1e6, 1e6))
def test_a_number_prints_as_it_was_written(number: float) -> None:
    assert str(scalar(str(number))) == str(number)


def test_quotes_and_tags_make_text() -> None:
    assert tree("{a: '5', b: \"true\", c: !!str 5}", {}).value == {
        "a": "5",
        "b": "true",
        "c": "5",
    }


def test_keys_are_text_as_written() -> None:
    assert tree("{20.10: a, no: b, 1: c}", {}).value == {
        "20.10": "a",
        "no": "b",
        "1": "c",
    }


def test_positions_count_from_one() -> None:
    read = tree("a:\n  - b: 5\n", {})
    assert read.keys["a", 0, "b"] == Position(2, 5)
    assert read.values["a", 0, "b"] == Position(2, 8)


def test_anchors_and_merges_are_followed() -> None:
    text = "base: &b {user: root, port: 22}\none: {<<: *b, port: 2222}\ntwo: *b\n"
    read = tree(text, {}).value
    assert read["one"] == {"user": "root", "port": 2222}
    assert read["two"] == {"user": "root", "port": 22}


def test_of_several_merged_mappings_the_first_wins() -> None:
    text = "a: &a {x: 1}\nb: &b {x: 2, y: 3}\nc: {<<: [*a, *b], z: 4}\n"
    assert tree(text, {}).value["c"] == {"x": 1, "y": 3, "z": 4}


def test_a_merge_of_something_else_is_a_problem() -> None:
    read = tree("a: {<<: 5}", {})
    assert [one.message for one in read.problems] == ["`<<` needs a mapping"]


def test_aliases_that_explode_are_refused() -> None:
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 7):
        inner = ", ".join([f"*l{n - 1}"] * 10)
        levels.append(f"l{n}: &l{n} [{inner}]")
    with pytest.raises(SyntaxProblem) as refused:
        tree("\n".join(levels), {})
    assert "unfold to more than" in refused.value.args[0].message


def test_variables_come_from_the_environment() -> None:
    text = "a: ${N}\nb: ${SITE:-rennes}-${N}\nc: ${EMPTY:-}\nd: $${N} $N\ne: '${N}'\n"
    assert tree(text, {"N": "4"}).value == {
        "a": 4,
        "b": "rennes-4",
        "c": None,
        "d": "${N} $N",
        "e": "4",
    }


def test_a_variable_that_is_set_wins_over_its_default() -> None:
    assert tree("a: ${N:-1}", {"N": "2"}).value == {"a": 2}


def test_a_variable_that_is_missing_is_a_problem_where_it_stands() -> None:
    read = tree("a:\n  b: x ${NOPE}\n", {})
    assert [(one.position, one.message) for one in read.problems] == [
        (Position(2, 6), "the environment has no variable `NOPE`")
    ]
