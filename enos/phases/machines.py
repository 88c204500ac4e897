"""What the machines are, asked once they are there and kept with the results.

`results/machines.json` outlives the testbed: reports tell from it on what an
experiment ran after the machines were given back.
"""

import json
import re
from pathlib import Path
from typing import Any

from enos import archive
from enos.kolla import releases
from enos.phases.session import Session
from enos.remote import on_each, run_on
from enos.state.directory import write_atomically
from enos.testbed import Host, Testbed

NAME = "machines.json"
ASK = (
    '. /etc/os-release; echo "system=$PRETTY_NAME"; echo "kernel=$(uname -r)"; '
    'echo "processors=$(nproc)"; echo "memory=$(grep MemTotal /proc/meminfo)"'
)
"""For sh(1): os-release(5), uname(1), nproc(1), proc_meminfo(5)."""

_KIB = re.compile(r"(\d+) kB")


def record(session: Session, testbed: Testbed) -> None:
    """Ask every machine what it is and write it down, with the versions at work."""
    with session.progress.step("asking the machines what they are"):
        told = on_each(testbed.hosts, lambda host: _ask(session, host))
    hosts = [_plain(host) | told[host.name] for host in testbed.hosts]
    found = {
        "provider": testbed.provider,
        "hosts": hosts,
        "networks": [
            {"name": net.name, "cidr": net.cidr, "roles": list(net.roles)}
            for net in testbed.networks
        ],
        "facts": dict(testbed.facts),
        "versions": versions(session),
    }
    path = session.directory.results / NAME
    write_atomically(path, json.dumps(found, indent=2) + "\n")


def versions(session: Session) -> dict[str, str]:
    """Return the versions of all that takes part, the experiment's own included."""
    source = Path(session.directory.load().source)
    release = releases.release(session.experiment.release)
    return archive.own_versions(session.shell, source) | {
        "openstack": release.name,
        "kolla-ansible": release.kolla_ansible,
        "ansible": release.ansible,
    }


def parsed(output: str) -> dict[str, str]:
    r"""Return what a machine said of itself; what it did not say is empty.

    >>> parsed("system=Debian 13\nprocessors=2\nmemory=MemTotal:  2097152 kB\n")
    {'system': 'Debian 13', 'kernel': '', 'processors': '2', 'memory': '2.0 GiB'}
    """
    lines = (line.partition("=") for line in output.splitlines())
    said = {key: value.strip() for key, _, value in lines}
    size = _KIB.search(said.get("memory", ""))
    memory = f"{int(size[1]) / (1 << 20):.1f} GiB" if size else ""
    names = ("system", "kernel", "processors")
    return {name: said.get(name, "") for name in names} | {"memory": memory}


def _ask(session: Session, host: Host) -> dict[str, str]:
    """Return what a machine is; one that does not answer is left empty, and named."""
    done = run_on(
        session.shell,
        host,
        ("sh", "-c", ASK),
        check=False,
        timeout=30,
        sockets=session.directory.sockets,
    )
    if not done.ok:
        session.progress.warn(f"{host.name} did not say what it is: {done.stderr}")
    return parsed(done.stdout)


def _plain(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "address": host.address,
        "groups": list(host.groups),
        "roles": list(host.roles),
    }
