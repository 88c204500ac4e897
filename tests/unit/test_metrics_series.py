from collections.abc import Mapping
from typing import Any

import pytest

from enos.errors import MonitoringError
from enos.metrics.series import Series, query, statement

ANSWER: Mapping[str, Any] = {
    "results": [
        {
            "series": [
                {
                    "name": "cpu",
                    "tags": {"host": "control-1", "instance": "", "unit": "cores"},
                    "columns": ["time", "value"],
                    "values": [[1000, 0.5], [6000, 1], [11000, None]],
                },
                {
                    "name": "container_cpu",
                    "tags": {
                        "host": "control-1",
                        "instance": "nova_api",
                        "unit": "cores",
                    },
                    "columns": ["time", "mean"],
                    "values": [[1000, 0.25]],
                },
                {
                    "name": "events",
                    "columns": ["time", "title"],
                    "values": [[1000, "up"]],
                },
            ]
        }
    ]
}


class Canned:
    """A database that answers the same to everything."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = dict(answer)
        self.asked: list[str] = []

    def ask(self, statement: str) -> dict[str, Any]:
        self.asked.append(statement)
        return self.answer


def test_an_answer_becomes_series_in_order_without_gaps_and_annotations() -> None:
    database = Canned(ANSWER)

    found = query(database, measures=["cpu"], hosts=["control-1"], begin=1, end=12.5)

    assert found == (
        Series(
            measure="container_cpu",
            host="control-1",
            instance="nova_api",
            unit="cores",
            points=((1.0, 0.25),),
        ),
        Series(
            measure="cpu",
            host="control-1",
            instance="",
            unit="cores",
            points=((1.0, 0.5), (6.0, 1.0)),
        ),
    )
    (asked,) = database.asked
    assert asked == (
        'SELECT "value" FROM "cpu" WHERE "host" = \'control-1\''
        " AND time >= 1000ms AND time <= 12500ms"
        ' GROUP BY "host", "instance", "unit"'
    )


def test_means_over_intervals_are_asked_of_the_database() -> None:
    assert statement(every=60) == (
        'SELECT mean("value") FROM /.*/'
        ' GROUP BY time(60000ms), "host", "instance", "unit"'
    )


def test_several_hosts_are_alternatives() -> None:
    text = statement(measures=["cpu"], hosts=["a", "b"], begin=1)

    assert "WHERE (\"host\" = 'a' OR \"host\" = 'b') AND time >= 1000ms" in text


def test_names_cannot_break_out_of_their_quotes() -> None:
    text = statement(measures=['c"; DROP'], hosts=["a' OR 'x"])

    assert '"c\\"; DROP"' in text
    assert "'a\\' OR \\'x'" in text


@pytest.mark.parametrize(
    "answer",
    [{"error": "authorization failed"}, {"results": [{"error": "no such db"}]}],
)
def test_a_refusal_is_an_error_of_its_own(answer: Mapping[str, Any]) -> None:
    with pytest.raises(MonitoringError, match="refuses"):
        query(Canned(answer))


def test_series_without_a_single_point_are_left_out() -> None:
    empty = {"name": "cpu", "columns": ["time", "mean"], "values": [[1000, None]]}

    assert query(Canned({"results": [{"series": [empty]}]})) == ()
