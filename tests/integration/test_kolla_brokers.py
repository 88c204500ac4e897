"""The scripts that look for RabbitMQ without a cluster, with stand-ins for programs.

The folders are those RabbitMQ 4 leaves: one that waits for the others of its cluster
has `coordination` and `quorum`, one whose cluster was founded has `msg_stores` too.
"""

import subprocess
from pathlib import Path

import pytest

from enos.kolla.brokers import FOUNDED, HALF, LOOK, REMOVE

pytestmark = pytest.mark.integration
ENGINE = """\
#!/bin/sh
echo "$*" >>"$0.asked"
case $* in
"volume inspect"*) test -e "$0.data" && echo "$0.data" ;;
"ps --all --quiet --filter label=kolla_version --filter name=^rabbitmq\\$")
    test ! -e "$0.container" || echo abc ;;
"exec rabbitmq rabbitmq-diagnostics check_running") test -e "$0.runs" ;;
esac
"""
SYSTEMCTL = '#!/bin/sh\necho "$*" >>"$0.asked"\n'


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    for name, text in (("engine", ENGINE), ("systemctl", SYSTEMCTL)):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)
    return tmp_path / "engine"


def run(engine: Path, script: str, name: str = "engine") -> str:
    return subprocess.run(
        ["/bin/sh", "-s", "--", name],
        input=script,
        env={"PATH": f"{engine.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def leave(engine: Path, *things: str, stores: str = "") -> None:
    """Have a container, its data, an answer of the program; `stores` below a node's."""
    for thing in things:
        path = engine.with_name(f"engine.{thing}")
        if thing == "data":
            for name in ("coordination", "quorum", stores):
                (path / "mnesia" / "rabbit@c1" / name).mkdir(
                    parents=True, exist_ok=True
                )
        else:
            path.touch()


@pytest.mark.parametrize(
    ("things", "stores", "found"),
    [
        ((), "", ""),
        (("data",), "", ""),  # kolla deploys over it
        (("data", "container"), "", HALF),
        (("data", "container"), "msg_stores/vhosts", FOUNDED),
        (("data",), "msg_stores/vhosts", FOUNDED),
        (("data", "container", "runs"), "", FOUNDED),
        (("container",), "", FOUNDED),  # its data is who knows where
    ],
)
def test_a_broker_is_half_when_it_stores_nothing_and_does_not_run(
    engine: Path, things: tuple[str, ...], stores: str, found: str
) -> None:
    leave(engine, *things, stores=stores)
    assert run(engine, LOOK) == found
    asked = engine.with_name("engine.asked").read_text()
    assert " rm " not in asked


def test_a_machine_without_containers_has_none(engine: Path) -> None:
    assert run(engine, LOOK, name="podman-that-is-not-there") == ""


def test_container_unit_and_data_go(engine: Path) -> None:
    units = engine.with_name("units")
    units.mkdir()
    unit = units / "kolla-rabbitmq-container.service"
    unit.touch()
    script = REMOVE.replace("/etc/systemd/system", str(units))
    for _ in range(2):
        run(engine, script)

    assert not unit.exists()
    assert engine.with_name("engine.asked").read_text().splitlines() == [
        "rm --force rabbitmq",
        "volume rm --force rabbitmq",
    ] * 2  # fmt: skip
    assert engine.with_name("systemctl.asked").read_text().splitlines() == [
        f"disable --now {unit.name}",
        "daemon-reload",
    ]
