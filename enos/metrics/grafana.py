"""Grafana over the database of measures, where its image can be had.

https://grafana.com/docs/grafana/latest/administration/provisioning/
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enos.errors import MonitoringError, ProcessError
from enos.metrics.plan import NAME, PLACE, PRIVATE, USER, File, MonitoringPlan
from enos.process import Shell
from enos.progress import Progress
from enos.remote import run_on
from enos.testbed import Host

IMAGE = "docker.io/grafana/grafana-oss:11.6.0"
CONTAINER = "enos_grafana"
PORT = 3000
FOLDER = PLACE / "grafana"
PATIENCE = 300.0  # seconds for the image to arrive
PANELS = (
    ("CPU", "cpu", "cores", "$tag_host"),
    ("Memory", "memory", "bytes", "$tag_host"),
    ("Network, received", "net_rx", "Bps", "$tag_host $tag_instance"),
    ("Network, sent", "net_tx", "Bps", "$tag_host $tag_instance"),
    ("CPU of containers", "container_cpu", "cores", "$tag_host $tag_instance"),
    ("Memory of containers", "container_memory", "bytes", "$tag_host $tag_instance"),
    ("Queued messages", "rabbitmq_messages", "short", "$tag_host"),
    ("Database queries", "mariadb_queries", "ops", "$tag_host"),
    ("Requests to HAProxy", "haproxy_requests", "reqps", "$tag_host $tag_instance"),
    (
        "Requests waiting at HAProxy",
        "haproxy_queue",
        "short",
        "$tag_host $tag_instance",
    ),
    ("Cache hits", "memcached_hits", "ops", "$tag_host"),
    ("Cache misses", "memcached_misses", "ops", "$tag_host"),
)
"""Title, measure, Grafana's unit, legend."""

SCRIPT = f"""
image={shlex.quote(IMAGE)}
command -v docker >/dev/null || {{ echo "it has no Docker" >&2; exit 1; }}
docker image inspect "$image" >/dev/null 2>&1 || docker pull --quiet "$image" || exit 1
docker rm --force {CONTAINER} >/dev/null 2>&1
exec docker run --detach --name {CONTAINER} --network host --restart unless-stopped \\
  --user root --env-file {FOLDER}/environment \\
  --volume {FOLDER}/provisioning:/etc/grafana/provisioning:ro "$image"
"""
"""POSIX shell, run as root on the machine of the database once the files are there."""


REMOVAL = f"""
[ -d {FOLDER} ] || exit 0
if command -v docker >/dev/null && docker container inspect {CONTAINER} >/dev/null 2>&1
then docker rm --force --volumes {CONTAINER} >/dev/null || exit 1
fi
rm -r {FOLDER}
"""
"""Undoes it, the folder last: a removal that was killed is gone on with."""


def files(plan: MonitoringPlan) -> dict[str, File]:
    """Return path → file: where measures come from, and what is drawn of them."""
    provisioning = FOLDER / "provisioning"
    settings = "".join(f"{key}={value}\n" for key, value in _environment(plan).items())
    told = {FOLDER / "environment": settings}
    parts = {
        "datasources/enos.yaml": _source(plan),
        "dashboards/enos.yaml": _boards(),
        "dashboards/enos.json": dashboard(),
    }
    for name, content in parts.items():
        told[provisioning / name] = json.dumps(content, indent=2) + "\n"  # is YAML
    return {str(path): File(text=text, mode=PRIVATE) for path, text in told.items()}


def _environment(plan: MonitoringPlan) -> dict[str, str]:
    address = plan.url.removeprefix("http://").rpartition(":")[0]
    return {
        "GF_SERVER_HTTP_ADDR": address.strip("[]"),
        "GF_SERVER_HTTP_PORT": str(PORT),
        "GF_SECURITY_ADMIN_PASSWORD": plan.password,
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    }


def _source(plan: MonitoringPlan) -> dict[str, Any]:
    """Return where Grafana finds the measures."""
    database = {
        "name": "enos",
        "uid": "enos",
        "type": "influxdb",
        "access": "proxy",
        "url": plan.url,
        "isDefault": True,
        "user": USER,
        "jsonData": {"dbName": NAME, "httpMode": "GET"},
        "secureJsonData": {"password": plan.password},
    }
    return {"apiVersion": 1, "datasources": [database]}


def _boards() -> dict[str, Any]:
    """Return where Grafana finds the dashboard, in its container."""
    folder = "/etc/grafana/provisioning/dashboards"
    provider = {"name": "enos", "options": {"path": folder}}
    return {"apiVersion": 1, "providers": [provider]}


def dashboard() -> dict[str, Any]:
    """Return the dashboard: measures of all machines under what happened."""
    # Tags come along only when they are named beside a field.
    shown = '"what", "kind", "status" FROM "events" WHERE $timeFilter'
    annotation = {
        "name": "events",
        "enable": True,
        "datasource": {"type": "influxdb", "uid": "enos"},
        "iconColor": "orange",
        "query": f"SELECT {shown}",
        "textColumn": "what",
        "tagsColumn": "kind,status",
    }
    return {
        "uid": "enos",
        "title": "enos",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "annotations": {"list": [annotation]},
        "panels": [_panel(number, *panel) for number, panel in enumerate(PANELS)],
    }


def show(
    plan: MonitoringPlan,
    shell: Shell,
    progress: Progress,
    *,
    sockets: Path | None = None,
) -> str:
    """Have Grafana run beside the database; its URL, or empty where it cannot be had.

    The files of `files` are there already.
    """
    host = plan.database
    with progress.step("Grafana", host=host.name) as step:
        step.awaiting(IMAGE)
        why = _started(plan, shell, sockets)
    if not why:
        return f"{plan.url.rpartition(':')[0]}:{PORT}"
    progress.decision(f"Grafana's image cannot be had on {host.name}: {why}")
    return ""


def remove(host: Host, shell: Shell, *, sockets: Path | None = None) -> None:
    """Have no Grafana on a machine; harmless where there is none.

    Raises MonitoringError where it stays.
    """
    argv = ("sh", "-s")
    done = run_on(
        shell, host, argv, stdin=REMOVAL, check=False, timeout=PATIENCE, sockets=sockets
    )
    if not done.ok:
        why = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise MonitoringError(
            f"Grafana stays on {host.name}: {why}",
            hint="run the same command again, or write `grafana: true`",
        )


def _started(plan: MonitoringPlan, shell: Shell, sockets: Path | None) -> str:
    """Start it; return why that failed, empty when it did not."""
    try:
        done = run_on(
            shell,
            plan.database,
            ("sh", "-s"),
            stdin=SCRIPT,
            check=False,
            timeout=PATIENCE,
            sockets=sockets,
        )
    except ProcessError as slow:
        return slow.message
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return "" if done.ok else said[-1] if said else f"status {done.returncode}"


def _panel(
    number: int, title: str, measure: str, unit: str, legend: str
) -> Mapping[str, Any]:
    grouped = 'GROUP BY time($__interval), "host", "instance" fill(null)'
    source = f'FROM "{measure}" WHERE $timeFilter {grouped}'
    wanted = f'SELECT mean("value") {source}'
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": {"type": "influxdb", "uid": "enos"},
        "fieldConfig": {
            "defaults": {"unit": "short" if unit == "cores" else unit, "min": 0},
            "overrides": [],
        },
        "gridPos": {"x": number % 2 * 12, "y": number // 2 * 8, "w": 12, "h": 8},
        "targets": [{"refId": "A", "rawQuery": True, "query": wanted, "alias": legend}],
    }
