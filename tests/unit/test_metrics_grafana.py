"""What Grafana is told, and what happens where its image cannot be had."""

import json
import re
from pathlib import Path

import pytest

from enos.config.monitoring import Monitoring
from enos.errors import MonitoringError
from enos.metrics import grafana
from enos.metrics.plan import MonitoringPlan, plan_monitoring
from enos.report.lanes import USUAL
from enos.testbed import Host, Testbed
from enos.testing import RecordingProgress, RecordingShell

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def planned() -> MonitoringPlan:
    host = Host(name="control-1", address="10.0.0.2", roles=("control",))
    bed = Testbed(provider="t", hosts=(host,), networks=())
    return plan_monitoring(bed, Monitoring(), password="secret-word")


def test_the_password_is_in_private_files_only_and_in_no_command() -> None:
    files = grafana.files(planned())
    shell = RecordingShell()
    grafana.show(planned(), shell, RecordingProgress())

    assert {file.mode for file in files.values()} == {0o600}
    assert sum("secret-word" in file.text for file in files.values()) == 2
    assert "secret-word" not in "".join(call.line + call.stdin for call in shell.calls)


def test_grafana_asks_the_database_as_the_machines_reach_it() -> None:
    (text,) = (
        file.text
        for path, file in grafana.files(planned()).items()
        if "datasources" in path
    )
    (source,) = json.loads(text)["datasources"]

    assert source["url"] == "http://10.0.0.2:8086"
    assert source["jsonData"]["dbName"] == "enos"


def test_what_is_drawn_is_measured() -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    known = {name for row in rows for name in re.findall("`(\\w+)`", row.split("|")[1])}

    drawn = {measure for _, measure, _, _ in grafana.PANELS}
    assert drawn | {lane.measure for lane in USUAL} <= known


def test_what_happened_is_drawn_with_columns_that_are_asked_for() -> None:
    (annotation,) = grafana.dashboard()["annotations"]["list"]
    asked = set(re.findall('"(\\w+)"', annotation["query"].partition(" FROM ")[0]))

    assert annotation["textColumn"] == "what"
    assert {"what", *annotation["tagsColumn"].split(",")} <= asked


def test_every_service_has_a_panel() -> None:
    drawn = {measure.partition("_")[0] for _, measure, _, _ in grafana.PANELS}

    assert drawn >= {"rabbitmq", "mariadb", "memcached", "haproxy"}


def test_a_grafana_that_runs_has_an_address() -> None:
    progress = RecordingProgress()

    url = grafana.show(planned(), RecordingShell(), progress)

    assert url == "http://10.0.0.2:3000"
    assert progress.decisions == []


def test_a_grafana_that_stays_is_an_error() -> None:
    shell = RecordingShell()
    shell.on("ssh *", stderr="daemon is down", returncode=1)

    with pytest.raises(MonitoringError, match="stays on control-1: daemon is down"):
        grafana.remove(planned().database, shell)


def test_without_its_image_a_decision_is_recorded_and_nothing_fails() -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("ssh *", stderr="Error: no route to docker.io", returncode=1)

    assert grafana.show(planned(), shell, progress) == ""
    assert progress.decisions == [
        "Grafana's image cannot be had on control-1: Error: no route to docker.io"
    ]
