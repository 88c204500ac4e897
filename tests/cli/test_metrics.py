"""`enos metrics query --url` against a database that says what it is told to."""

import json
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

Enos = Callable[..., Any]
SERIES = {
    "name": "cpu",
    "tags": {"host": "control-1", "instance": "", "unit": "cores"},
    "columns": ["time", "value"],
    "values": [[1000, 0.5], [6000, 1.0]],
}


NAMES = {"name": "measurements", "columns": ["name"], "values": [["cpu"], ["MEM"]]}


class Canned(BaseHTTPRequestHandler):
    """Remembers what it was asked, and by whom."""

    asked: list[str] = []  # noqa: RUF012 - one server in one module
    accounts: list[str] = []  # noqa: RUF012 - likewise

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)["q"][0]
        Canned.asked.append(query)
        Canned.accounts.append(self.headers.get("Authorization", ""))
        wrong = "DROP" in query
        series = [NAMES] if "SHOW" in query else [] if "MEM" in query else [SERIES]
        told = {"error": "not allowed"} if wrong else {"results": [{"series": series}]}
        body = json.dumps(told).encode()
        self.send_response(403 if wrong else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test quiet."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Canned)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_series_are_told_in_a_line_a_table_or_json(enos: Enos, url: str) -> None:
    told = enos("metrics", "query", "--url", url, "-m", "cpu", "--every", "60")
    table = enos("metrics", "query", "--url", url, "-m", "cpu", "--csv")
    plain = enos("metrics", "query", "--url", url, "-m", "cpu", "--json")

    assert (told.code, table.code, plain.code) == (0, 0, 0)
    assert "mean 0.75, max 1, last 1 cores, 2 samples" in told.out
    assert table.out.splitlines() == [
        "time,measure,host,instance,value,unit",
        "1.0,cpu,control-1,,0.5,cores",
        "6.0,cpu,control-1,,1.0,cores",
    ]
    assert json.loads(plain.out)[0]["points"] == [[1.0, 0.5], [6.0, 1.0]]
    assert any("time(60000ms)" in asked for asked in Canned.asked)


def test_any_statement_can_be_asked(enos: Enos, url: str) -> None:
    told = enos("metrics", "query", "--url", url, "SELECT * FROM cpu", "--csv")

    assert told.out.splitlines()[:2] == [
        "name,host,instance,unit,time,value",
        "cpu,control-1,,cores,1000,0.5",
    ]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--from", "10m"), "--from"),
        (("--to", "10m", "--every", "5"), "--to, --every"),
        (("-m", "cpu", "--host", "a"), "--measure, --host"),
    ],
)
def test_a_statement_is_not_given_together_with_what_it_would_not_heed(
    enos: Enos, url: str, options: tuple[str, ...], named: str
) -> None:
    told = enos("metrics", "query", "--url", url, "SELECT * FROM cpu", *options)

    assert told.code == 2
    assert f"{named} cannot be given with a STATEMENT" in told.err


def test_a_measure_that_does_not_exist_is_named_with_those_that_do(
    enos: Enos, url: str
) -> None:
    told = enos("metrics", "query", "--url", url, "-m", "cpu", "-m", "cpuu")

    assert told.code == 3
    assert told.out == ""
    assert "no measure is called `cpuu`" in told.err
    assert "did you mean `cpu`? Known: `cpu`, `MEM`" in told.err


def test_a_measure_without_points_in_that_time_is_said(enos: Enos, url: str) -> None:
    told = enos("metrics", "query", "--url", url, "-m", "MEM")

    assert (told.code, told.out) == (0, "")
    assert "there are no points of `MEM` in that time" in told.err


def test_what_the_database_refuses_is_said(enos: Enos, url: str) -> None:
    told = enos("metrics", "query", "--url", url, "DROP DATABASE enos")

    assert told.code == 14
    assert "refuses: not allowed" in told.err


def test_a_database_that_does_not_answer_is_said(enos: Enos) -> None:
    told = enos("metrics", "query", "--url", "http://127.0.0.1:9", "-m", "cpu")

    assert told.code == 14
    assert "does not answer at http://127.0.0.1:9" in told.err


def test_a_password_comes_from_the_environment_never_from_the_command(
    enos: Enos, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = url.removeprefix("http://")
    monkeypatch.setenv("ENOS_INFLUX_PASSWORD", "s3cret")

    refused = enos("metrics", "query", "--url", f"http://me:s3cret@{bare}", "-m", "cpu")
    told = enos("metrics", "query", "--url", f"http://me@{bare}", "-m", "cpu")

    assert refused.code == 3
    assert "ENOS_INFLUX_PASSWORD" in refused.err
    assert "s3cret" not in refused.err
    assert told.code == 0
    assert b64decode(Canned.accounts[-1].removeprefix("Basic ")) == b"me:s3cret"


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "m", ""])
def test_a_moment_that_is_none_is_a_usage_error(enos: Enos, text: str) -> None:
    told = enos("metrics", "query", "--url", "http://127.0.0.1:9", "--from", text)

    assert told.code == 2
    assert "is no moment" in told.err


def test_an_archive_without_measures_says_so(enos: Enos, here: Path) -> None:
    (here / "enos-demo").mkdir()

    told = enos("backup", "--restore-metrics", "enos-demo")

    assert told.code == 12
    assert "holds no measures" in told.err


def test_measures_of_an_experiment_without_monitoring_are_a_state_error(
    enos: Enos,
) -> None:
    told = enos("metrics", "status")

    assert told.code == 8
