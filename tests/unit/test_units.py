import math
from dataclasses import astuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enos.units import Duration, Percent, Rate

Quantity = type[Duration] | type[Rate] | type[Percent]
KINDS = [Duration, Rate, Percent]
NUMBERS = st.floats(0, 1e6, allow_subnormal=False).map(lambda x: float(f"{x:.6g}"))


@given(NUMBERS, st.sampled_from(sorted(Duration.UNITS)))
def test_a_delay_prints_as_what_it_was_parsed_from(number: float, unit: str) -> None:
    delay = Duration.parse(f"{number}{unit}")
    assert Duration.parse(str(delay)).ms == pytest.approx(delay.ms, rel=1e-9)


@given(st.integers(0, 10**9), st.sampled_from(sorted(Rate.UNITS)))
def test_a_rate_prints_as_what_it_was_parsed_from(number: int, unit: str) -> None:
    rate = Rate.parse(f"{number}{unit}")
    assert Rate.parse(str(rate)).bits == pytest.approx(rate.bits, rel=1e-12)


@given(st.floats(0, 100, allow_subnormal=False).map(lambda x: float(f"{x:.6g}")))
def test_a_share_prints_as_what_it_was_parsed_from(number: float) -> None:
    assert Percent.parse(str(Percent.parse(f"{number}%"))) == Percent(number)


@given(NUMBERS, NUMBERS)
def test_delays_compare_as_their_numbers(one: float, other: float) -> None:
    assert (Duration.parse(f"{one}ms") < Duration.parse(f"{other}ms")) == (one < other)


@given(st.integers(1, 999), st.sampled_from(["bit", "kbit", "mbit", "gbit", "tbit"]))
def test_case_and_spaces_do_not_matter(number: int, unit: str) -> None:
    plain = Rate.parse(f"{number}{unit}")
    assert Rate.parse(f"  {number} {unit.upper()} ") == plain
    assert Rate.parse(f"{number}{unit.capitalize()}") == plain


UNITS = sorted({unit for kind in KINDS for unit in kind.UNITS})
WRITTEN = st.builds(
    "{}{}{}".format,
    st.integers(-10, 99999).map(lambda number: number / 1000),
    st.integers(-320, 320).map("e{}".format) | st.just(""),
    st.sampled_from(UNITS) | st.text(max_size=3),
)


@given(st.text(max_size=8) | WRITTEN, st.sampled_from(KINDS))
@example("1.001s", Duration)
@example("9e307s", Duration)
@example("1e308tbps", Rate)
def test_any_text_is_parsed_or_refused_with_a_sentence(
    text: str, kind: Quantity
) -> None:
    try:
        quantity = kind.parse(text)
    except ValueError as refused:
        sentence = str(refused)
        assert sentence.startswith(f"`{text}`")
        assert not sentence.endswith(".")
    else:
        (value,) = astuple(quantity)
        assert math.isfinite(value)
        (again,) = astuple(kind.parse(str(quantity)))
        assert again == pytest.approx(value, rel=1e-9, abs=0)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_needs_no_unit(kind: Quantity) -> None:
    assert kind.parse(0) == kind.parse("0") == kind.parse("0.0") == kind.parse("-0")


@pytest.mark.parametrize(
    ("text", "bits"),
    [("10Gbit", 1e10), ("1mbps", 8e6), ("1e3kbit", 1e6), ("0.5gbit", 5e8)],
)
def test_a_rate_counts_bits_and_bps_bytes(text: str, bits: float) -> None:
    assert Rate.parse(text) == Rate(bits)


@pytest.mark.parametrize(
    ("rate", "text"),
    [(1e10, "10gbit"), (1.5e9, "1500mbit"), (999.0, "999bit"), (0.0, "0bit")],
)
def test_a_rate_prints_in_the_largest_unit_that_divides_it(
    rate: float, text: str
) -> None:
    assert str(Rate(rate)) == text


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (Duration, "10", "the unit is missing"),
        (Duration, "10 minutes", "`minutes` is not a unit"),
        (Duration, "-1ms", "is negative"),
        (Duration, "1 ms later", "is not a delay"),
        (Rate, "10Gb", "`Gb` is not a unit"),
        (Rate, "fast", "is not a rate"),
        (Percent, "100.1", "is over 100%"),
        (Percent, "1ms", "`ms` is not a unit"),
        (Percent, "nan", "is not a percentage"),
        (Duration, "inf", "is not a delay"),
        (Duration, "1e999ms", "is too large to be a delay"),
        (Duration, "9e307s", "is too large to be a delay"),
        (Rate, "1e300tbps", "is too large to be a rate"),
    ],
)
def test_a_wrong_quantity_is_explained(
    kind: Quantity, text: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        kind.parse(text)
