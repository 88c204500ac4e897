from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from enos.report.timeline import (
    Bar,
    Bars,
    Line,
    Mark,
    Plot,
    Timeline,
    Window,
    as_json,
    gaps,
    packed,
    thinned,
)

MOMENTS = st.floats(0, 1e6, allow_nan=False)
SPANS = st.tuples(MOMENTS, st.floats(0, 1e4)).map(lambda pair: (pair[0], sum(pair)))
SAMPLES = st.lists(
    st.tuples(MOMENTS, st.floats(-1e9, 1e9)), unique_by=lambda point: point[0]
).map(sorted)


def bar(start: float, end: float, label: str = "x") -> Bar:
    return Bar(start=start, end=end, label=label, kind="step")


@given(st.lists(SPANS))
def test_rows_hold_every_bar_once_and_none_overlaps(
    spans: list[tuple[float, float]],
) -> None:
    bars = [bar(*span) for span in spans]

    rows = packed(bars)

    assert sorted((one.start, one.end) for row in rows for one in row) == sorted(spans)
    for row in rows:
        assert all(before.end <= after.start for before, after in pairwise(row))


@given(st.lists(SPANS, min_size=1))
def test_there_are_no_more_rows_than_bars_at_one_moment(
    spans: list[tuple[float, float]],
) -> None:
    rows = packed(bar(*span) for span in spans)

    at_once = max(
        sum(a <= moment < b or a == moment for a, b in spans) for moment, _ in spans
    )
    assert len(rows) <= at_once


@given(SAMPLES, st.integers(2, 40))
def test_a_thinned_line_keeps_order_and_extremes(
    points: list[tuple[float, float]], most: int
) -> None:
    kept = thinned(points, most)

    assert len(kept) <= most
    assert set(kept) <= set(points)
    assert list(kept) == sorted(kept)
    if points:
        values = [value for _, value in points]
        assert {min(values), max(values)} <= {value for _, value in kept}


def test_of_a_line_thinned_to_one_point_the_greatest_is_kept() -> None:
    assert thinned([(0.0, 1.0), (1.0, 9.0), (2.0, 0.0)], most=1) == ((1.0, 9.0),)


def test_a_short_line_is_not_thinned() -> None:
    points = [(float(at), at % 7.0) for at in range(100)]

    assert thinned(points) == tuple(points)


def test_a_line_is_broken_where_samples_are_missing_for_over_three_periods() -> None:
    points = [(0.0, 1.0), (5.0, 1.0), (10.0, 1.0), (24.0, 1.0), (40.0, 1.0), (45.0, 1)]

    assert gaps(points) == ((24.0, 40.0),)
    assert gaps(points[:1]) == ()


def test_a_page_counts_time_from_the_first_moment() -> None:
    drawn = as_json(
        Timeline(
            title="demo",
            span=(1000.0, 1100.0),
            lanes=(
                Bars(title="Phases", rows=((bar(1000.0, 1010.5, "up"),),)),
                Plot(
                    title="CPU",
                    unit="cores",
                    lines=(
                        Line(
                            label="control-1",
                            points=(
                                (1000, 0.123456789),
                                (1005, 1),
                                (1010, 2),
                                (1090, 3),
                            ),
                        ),
                    ),
                ),
            ),
            marks=(Mark(at=1050.0, label="partition"),),
            windows=(Window(label="up", span=(999.0, 1011.0)),),
            shown=(1000.0, 1010.0),
        )
    )

    assert drawn["origin"] == 1000.0
    assert drawn["span"] == [0.0, 100.0]
    assert drawn["shown"] == [0.0, 10.0]
    assert drawn["marks"] == [[50.0, "partition", True]]
    assert drawn["windows"] == [["up", -1.0, 11.0]]
    phases, cpu = drawn["lanes"]
    assert phases["rows"] == [[[0.0, 10.5, "up", "step", True, ""]]]
    assert cpu["lines"] == [
        {
            "label": "control-1",
            "t": [0.0, 5.0, 10.0, 50.0, 90.0],
            "v": [0.12346, 1.0, 2.0, None, 3.0],
        }
    ]
