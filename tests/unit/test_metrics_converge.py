"""What is run where, and which failure becomes which error."""

import hashlib
import json
from pathlib import Path

import pytest

from enos.config.monitoring import Monitoring
from enos.errors import CapabilityError, ConfigError, MonitoringError
from enos.metrics import converge
from enos.metrics.database import at
from enos.metrics.hosts.install import LACKING, NEEDED
from enos.metrics.plan import PLACE, File, MonitoringPlan, plan_monitoring
from enos.testbed import Host, Testbed
from enos.testing import Answer, RecordingProgress, RecordingShell

BED = Testbed(
    provider="t",
    hosts=(
        Host(name="control-1", address="10.0.0.2", roles=("control",)),
        Host(name="compute-1", address="10.0.0.3", roles=("compute",)),
    ),
    networks=(),
)


def planned() -> MonitoringPlan:
    return plan_monitoring(BED, Monitoring(), password="secret-word")


def made(shell: RecordingShell, bundles: dict[str, Path] | None = None) -> None:
    converge.converge(planned(), shell, RecordingProgress(), bundles=bundles or {})


def specs(shell: RecordingShell) -> list[dict[str, object]]:
    return [json.loads(call.stdin) for call in shell.calls if "units" in call.stdin]


def test_every_machine_gets_its_plan_and_the_database_its_account() -> None:
    shell = RecordingShell()

    made(shell)

    several = [len(spec["units"]) for spec in specs(shell)]  # type: ignore[arg-type]
    assert sorted(several) == [1, 2]
    asked = [json.loads(call.stdin) for call in shell.calls if '"q"' in call.stdin]
    assert [one["params"]["q"] for one in asked] == [
        "SHOW DATABASES",
        'CREATE DATABASE "enos"',
    ]
    assert "secret-word" not in "".join(shell.lines)


def test_a_database_without_accounts_gets_one() -> None:
    shell = RecordingShell()
    refusal = '{"error": "create admin user first or disable authentication"}'
    shell.script(
        "*10.0.0.2*SILENT*", Answer(stdout=refusal), Answer(stdout='{"results": [{}]}')
    )

    made(shell)

    asked = [json.loads(call.stdin) for call in shell.calls if '"q"' in call.stdin]
    told = [one["params"]["q"] for one in asked]
    account = "CREATE USER \"enos\" WITH PASSWORD 'secret-word' WITH ALL PRIVILEGES"
    assert account in told


def test_a_bundle_goes_only_to_machines_that_ask_for_it(tmp_path: Path) -> None:
    bundle = tmp_path / "enos-metrics-trixie.tar.gz"
    bundle.write_bytes(b"programs")
    shell = RecordingShell()
    shell.script("*10.0.0.3*LACKING*", Answer(returncode=NEEDED), Answer())

    made(shell, {"control-1": bundle, "compute-1": bundle})

    (copy,) = (call.argv for call in shell.calls if call.argv[0] == "scp")
    assert copy[-2:] == (str(bundle), "root@10.0.0.3:/tmp/enos-metrics-trixie.tar.gz")
    assert len(specs(shell)) == 3
    digest = hashlib.sha256(b"programs").hexdigest()
    assert specs(shell)[0]["bundle"] == {
        "path": "/tmp/enos-metrics-trixie.tar.gz",
        "sha256": digest,
    }


@pytest.mark.parametrize(
    ("status", "kind"), [(LACKING, CapabilityError), (1, MonitoringError)]
)
def test_what_a_machine_lacks_is_told_apart_from_what_failed(
    status: int, kind: type[Exception]
) -> None:
    shell = RecordingShell()
    shell.on("*10.0.0.3*", stderr="it has no apt", returncode=status)

    with pytest.raises(kind, match=r"compute-1 .*: it has no apt"):
        made(shell)


def test_files_that_agents_read_reach_only_their_machine() -> None:
    shell = RecordingShell()
    path = str(PLACE / "services.json")

    converge.put({"compute-1": {path: File(text="{}", mode=0o600)}}, BED, shell)

    (spec,) = specs(shell)
    assert spec["files"] == {path: {"text": "{}", "mode": 0o600}}
    assert spec["units"] == spec["packages"] == []
    assert "10.0.0.3" in shell.lines[0]


def test_removal_reaches_every_machine() -> None:
    shell = RecordingShell()

    converge.remove(BED, shell, RecordingProgress())

    assert [spec["remove"] for spec in specs(shell)] == [True, True]


def test_a_machine_that_cannot_be_reached_keeps_its_monitoring_not_the_others() -> None:
    shell = RecordingShell()
    dead = BED.hosts[0]
    shell.on(f"*{dead.address}*", stderr="No route to host", returncode=255)

    with pytest.raises(MonitoringError, match=f"{dead.name} keeps its monitoring: No"):
        converge.remove(BED, shell, RecordingProgress())

    assert [spec["remove"] for spec in specs(shell)] == [True, True]


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="holds a password") as refused:
        at("http://me:pw-word@10.0.0.9:8086")
    assert "pw-word" not in refused.value.message + refused.value.hint


def test_an_address_may_carry_an_account_and_must_be_http() -> None:
    found = at("http://me@10.0.0.9:8086", "pw")

    assert (found.url, found.user, found.password) == (
        "http://10.0.0.9:8086",
        "me",
        "pw",
    )
    with pytest.raises(Exception, match="not the address of a database"):
        at("10.0.0.9:8086")
