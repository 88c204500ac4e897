"""What monitoring a testbed comes to: files, packages and units, host by host. Pure.

Nothing is installed on the machines: the distribution's packages are unpacked below
`PLACE`, run by units of their own, and removed without a trace. A collectd or InfluxDB
that the machines' owner runs is not touched.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import PurePath, PurePosixPath

from enos.config.monitoring import Monitoring
from enos.errors import ConfigError
from enos.testbed import Host, Testbed

PLACE = PurePosixPath("/var/lib/enos/metrics")
"""Folder on the machines for all that monitoring needs."""

UNITS = PurePosixPath("/etc/systemd/system")
AGENT, DATABASE = "enos-metrics-agent.service", "enos-metrics-database.service"
PACKAGES: Mapping[str, tuple[str, ...]] = {
    AGENT: ("collectd-core", "python3-pymysql"),
    DATABASE: ("influxdb",),
}
"""unit → packages of Debian and Ubuntu; libpython is found from collectd's own need."""

NAME, USER = "enos", "enos"
"""Of the database, and of its one account."""

BACKUP_PORT = 8088
PRIVATE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file on a machine."""

    text: str = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """What one machine gets.

    Attributes:
        packages: unpacked below PLACE.
        files: absolute path → content.
        units: of systemd, started when all is there.

    """

    host: Host
    packages: tuple[str, ...]
    files: Mapping[str, File]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringPlan:
    """Monitoring of a testbed.

    Attributes:
        database: the machine the measures are kept on.
        url: of the database, as the machines reach it.

    """

    database: Host
    url: str
    password: str = field(repr=False)
    interval: float
    hosts: tuple[HostPlan, ...]
    decisions: tuple[str, ...]


def plan_monitoring(
    testbed: Testbed, monitoring: Monitoring, *, password: str
) -> MonitoringPlan:
    """Return what every machine gets; raises ConfigError for a testbed of none."""
    keeper, why = database_host(testbed)
    url = f"http://{_bracketed(testbed.address(keeper, 'api'))}:{monitoring.port}"
    return MonitoringPlan(
        database=keeper,
        url=url,
        password=password,
        interval=monitoring.interval,
        hosts=tuple(
            _host_plan(
                host,
                url,
                password=password,
                interval=monitoring.interval,
                keeps=host == keeper,
            )
            for host in testbed.hosts
        ),
        decisions=(why,),
    )


def database_host(testbed: Testbed) -> tuple[Host, str]:
    """Return the machine that keeps the measures, and why; raises ConfigError."""
    for role in ("monitoring", "bench", "control"):
        if hosts := testbed.with_role(role):
            return hosts[0], f"measures are kept on {hosts[0].name} (role `{role}`)"
    message = "no machine can keep the measures: none is `monitoring` or `control`"
    raise ConfigError(message, hint="give a machine the role `monitoring`")


def service_files(
    testbed: Testbed, accounts: Mapping[str, Mapping[str, Mapping[str, object]]]
) -> dict[str, dict[str, File]]:
    """Return host → path → file with the accounts of the services that run there.

    Args:
        testbed: its addresses on the API network are where Kolla binds services.
        accounts: host → service → port and account.

    """
    told = {}
    for host in testbed.hosts:
        here = {
            service: {"address": testbed.address(host, "api"), **account}
            for service, account in accounts.get(host.name, {}).items()
        }
        text = json.dumps(here, indent=2) + "\n"
        told[host.name] = {str(PLACE / "services.json"): File(text=text, mode=PRIVATE)}
    return told


def as_lines(plan: MonitoringPlan) -> tuple[str, ...]:
    """Return the plan as lines for people, without the password."""
    every = f"a sample every {plan.interval:g} s"
    return (
        f"InfluxDB on {plan.database.name}: {plan.url}, {every}",
        *plan.decisions,
        *(line for one in plan.hosts for line in _lines(one)),
    )


def _lines(plan: HostPlan) -> Iterable[str]:
    yield f"# {plan.host.name}"
    yield f"unpack {', '.join(plan.packages)} below {PLACE}"
    program = str(PLACE / "python")
    yield f"write {program} (collectd's plug-in)"
    for path, file in plan.files.items():
        if not path.startswith(program):
            yield f"write {path} ({file.mode:04o})"
    yield f"start {', '.join(plan.units)}"


def _host_plan(
    host: Host, url: str, *, password: str, interval: float, keeps: bool
) -> HostPlan:
    writer = {
        "host": host.name,
        "url": url,
        "database": NAME,
        "user": USER,
        "password": password,
    }
    settings = json.dumps({"interval": interval, "writer": writer}, indent=2) + "\n"
    told = {
        **agent_program(),
        str(PLACE / "agent.json"): File(text=settings, mode=PRIVATE),
        str(PLACE / "collectd.conf"): File(text=collectd_conf(interval)),
        str(UNITS / AGENT): File(text=agent_unit()),
    }
    if keeps:
        bind = url.removeprefix("http://")
        told[str(PLACE / "influxdb.conf")] = File(text=influxdb_conf(bind))
        told[str(UNITS / DATABASE)] = File(text=database_unit())
    units = (DATABASE, AGENT) if keeps else (AGENT,)
    return HostPlan(
        host=host,
        packages=tuple(one for unit in units for one in PACKAGES[unit]),
        files=told,
        units=units,
    )


def agent_program(place: PurePosixPath = PLACE) -> dict[str, File]:
    """Return the files of collectd's plug-in, a package below ``python/``."""
    folder = place / "python/enos"
    told = {
        str(folder / "__init__.py"): File(text=""),
        str(folder / "metrics/__init__.py"): File(text=""),
    }
    for one in sorted(files("enos.metrics.agent").iterdir(), key=lambda e: e.name):
        if one.name.endswith(".py"):
            text = one.read_text(encoding="utf-8")
            told[str(folder / "metrics/agent" / one.name)] = File(text=text)
    return told


def collectd_conf(interval: float, place: PurePosixPath = PLACE) -> str:
    """Return collectd.conf(5): interfaces, load, disks, and enos's own plug-in."""
    root = place / "root"
    return f"""\
Interval {interval:g}
BaseDir "{place}"
PIDFile "{place}/collectd.pid"
PluginDir "{root}/usr/lib/collectd"
TypesDB "{root}/usr/share/collectd/types.db"
FQDNLookup false
LoadPlugin interface
LoadPlugin load
LoadPlugin disk
<Plugin interface>
  Interface "/^(lo|ifb|docker|veth|br-[0-9a-f]{{12}}$|tap|q(br|vo|vb|r-|g-)|vxlan)/"
  IgnoreSelected true
</Plugin>
<Plugin disk>
  Disk "/^(loop|ram|sr|dm-)/"
  IgnoreSelected true
</Plugin>
<LoadPlugin python>
  Globals true
</LoadPlugin>
<Plugin python>
  ModulePath "{root}/usr/lib/python3/dist-packages"
  ModulePath "{place}/python"
  Import "enos.metrics.agent.plugin"
  <Module "enos.metrics.agent.plugin">
    Folder "{place}"
  </Module>
</Plugin>
"""


_INFLUXDB = """\
reporting-disabled = true
bind-address = "127.0.0.1:{backup}"
[meta]
  dir = "{data}/meta"
[data]
  dir = "{data}/data"
  wal-dir = "{data}/wal"
  query-log-enabled = false
  cache-snapshot-memory-size = "8m"
[coordinator]
  query-timeout = "60s"
[retention]
  enabled = false
[shard-precreation]
  enabled = false
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[http]
  bind-address = "{bind}"
  auth-enabled = {accounts}
  log-enabled = false
[continuous_queries]
  enabled = false
"""


def influxdb_conf(
    bind: str,
    place: PurePath = PLACE,
    *,
    backup: int = BACKUP_PORT,
    accounts: bool = True,
) -> str:
    """Return InfluxDB 1.x's configuration; only its own host may ask for a backup.

    Args:
        bind: address and port for HTTP.
        place: folder whose ``data`` it keeps everything in.
        backup: port of its own host for backups.
        accounts: ask for a password.

    """
    return _INFLUXDB.format(
        data=place / "data", bind=bind, backup=backup, accounts=str(accounts).lower()
    )


def agent_unit() -> str:
    """Return the unit of collectd; its Python may be unpacked beside it."""
    root = PLACE / "root"
    return f"""\
[Unit]
Description=enos: measures of this machine
After=network.target
[Service]
Environment=LD_LIBRARY_PATH={root}/usr/lib/enos PYTHONDONTWRITEBYTECODE=1
ExecStart={root}/usr/sbin/collectd -f -C {PLACE}/collectd.conf
Restart=always
RestartSec=1
TimeoutStopSec=20
[Install]
WantedBy=multi-user.target
"""


def database_unit() -> str:
    """Return the unit of InfluxDB."""
    return f"""\
[Unit]
Description=enos: database of measures
After=network.target
[Service]
ExecStart={PLACE}/root/usr/bin/influxd -config {PLACE}/influxdb.conf
Restart=always
RestartSec=1
LimitNOFILE=65536
[Install]
WantedBy=multi-user.target
"""


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
