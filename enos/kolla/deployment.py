"""Doing what a deployment plans: files, lanes of Ansible, kolla-ansible's commands."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enos.ansible import inventory as ini
from enos.ansible.events import Event
from enos.ansible.lanes import Lane, run_lanes
from enos.ansible.runner import Run, run
from enos.kolla import globals as variables
from enos.kolla import prechecks, site, subcommands
from enos.kolla.credentials import Credentials, clouds_yaml, openrc
from enos.kolla.inventory import parse_multinode
from enos.kolla.passwords import ensure_passwords, write_secret
from enos.kolla.plan import Deployment, Installed
from enos.kolla.shadow import build
from enos.kolla.switches import defaults
from enos.process import Shell
from enos.progress import Progress

CONFIRM = "--yes-i-really-really-mean-it"


def read_installed(programs: Path) -> Installed:
    """Return what the kolla-ansible brings whose programs are in a folder."""
    ansible = programs.parent / "share" / "kolla-ansible" / "ansible"

    def text(name: str) -> str:
        return (ansible / name).read_text(encoding="utf-8")

    found = programs.parent.glob("lib/python3*/site-packages/ansible_mitogen")
    mitogen = next(found, None)
    return Installed(
        bin=programs,
        ansible=ansible,
        groups=parse_multinode(text("inventory/multinode")),
        plays=site.read_site(text("site.yml"), text),
        defaults=defaults(ansible),
        playbooks=tuple(sorted(file.name for file in ansible.glob("*.yml"))),
        mitogen=mitogen / "plugins" / "strategy" if mitogen else None,
    )


def write(deployment: Deployment, *, shell: Shell) -> Credentials:
    """Write every file of a deployment and return the administrator's account.

    Safe to be interrupted and repeated; passwords are kept once made.
    """
    place = deployment.place
    place.root.mkdir(parents=True, exist_ok=True)
    place.sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
    passwords = ensure_passwords(
        place.passwords, tools=deployment.installed.bin, shell=shell
    )
    write_secret(place.globals, variables.render(deployment.variables))
    _put(place.inventory, ini.render(deployment.inventory))
    _put(place.ansible_cfg, deployment.ansible_cfg)
    build(deployment.shadow, deployment.installed.ansible, place.shadow)
    _write_config(deployment)
    return _write_credentials(deployment, passwords)


def deploy(
    deployment: Deployment,
    *,
    shell: Shell,
    progress: Progress,
    action: str = "deploy",
    tags: Sequence[str] = (),
    remembered: Path | None = None,
) -> Mapping[str, tuple[Event, ...]]:
    """Write the files, run the lanes of an action and return their events by lane.

    With tags, one run over all plays instead of lanes. The first deployment of an
    inventory and its variables is checked by kolla-ansible's prechecks on the way;
    `remembered` is the folder of those that passed on machines made the same way.
    Raises PlaybookError.
    """
    for choice in deployment.decisions:
        progress.decision(choice)
    write(deployment, shell=shell)
    if tags or action == "precheck":
        lane = site.CHECKS if action == "precheck" else "site"
        whole = _lane_run(deployment, lane, action, tags)
        with progress.step(whole.title) as step:
            return {lane: run(whole, shell=shell, step=step)}
    known = prechecks.passed(deployment, remembered)
    if action == "deploy" and known == "before":
        progress.decision("the prechecks passed before on machines made the same way")
    lanes = plan_runs(deployment, action, checks=action == "deploy" and not known)
    done = run_lanes(lanes, shell=shell, progress=progress)
    if site.CHECKS in done:
        prechecks.remember(deployment, remembered)
    return done


def commands(
    deployment: Deployment, action: str = "deploy", tags: Sequence[str] = ()
) -> tuple[Run, ...]:
    """Return what `deploy` starts, with the prechecks of a first deployment."""
    if tags:
        return (_lane_run(deployment, "site", action, tags),)
    checks = action == "deploy" and not prechecks.passed(deployment, None)
    return tuple(lane.run for lane in plan_runs(deployment, action, checks=checks))


def plan_runs(
    deployment: Deployment, action: str = "deploy", *, checks: bool = False
) -> tuple[Lane, ...]:
    """Return the lanes of an action with their commands.

    With `checks`, a lane of prechecks that ends before any service begins. It starts
    with the first lane when the machines need no preparation, and before it when that
    one has services too.
    """
    ahead = deployment.checks_at_once and site.takes_ports(deployment.lanes["base"])
    lanes = [
        Lane(
            name=name,
            run=_lane_run(deployment, name, action),
            after=(*needed, *((site.CHECKS,) if checks and held else ())),
        )
        for name in deployment.lanes
        for needed in (site.needs(name, deployment.lanes),)
        for held in (needed == ("base",) or (ahead and name == "base"),)
    ]
    if checks:
        after = () if deployment.checks_at_once else ("base",)
        own = _lane_run(deployment, site.CHECKS, "precheck")
        lanes.insert(0, Lane(name=site.CHECKS, run=own, after=after))
    return tuple(lanes)


def kolla_command(deployment: Deployment, words: Sequence[str]) -> Run:
    """Return the run of any kolla-ansible command, as typed after `enos os --`."""
    place = deployment.place
    return Run(
        title=f"kolla-ansible {words[0]}",
        argv=subcommands.argv(deployment, words),
        env=_environment(deployment),
        log=place.logs / f"{words[0]}.log",
    )


def destroy(
    deployment: Deployment,
    *,
    shell: Shell,
    progress: Progress,
    images: bool = False,
    only: Sequence[str] = (),
) -> None:
    """Remove OpenStack from the nodes, or from some: containers, volumes, files."""
    whole = ("--include-images",) if images else ()
    some = ("--limit", ",".join(only)) if only else ()
    words = ("destroy", CONFIRM, *some, *whole)
    plan = kolla_command(deployment, words)
    with progress.step(plan.title) as step:
        run(plan, shell=shell, step=step)


def _lane_run(
    deployment: Deployment, lane: str, action: str, tags: Sequence[str] = ()
) -> Run:
    place = deployment.place
    first = ("--flush-cache",) if lane in {"base", "site"} else ()
    services = _services(deployment, lane) if lane in deployment.lanes else tags
    serial = ("-e", "kolla_serial=0") if action in {"reconfigure", "upgrade"} else ()
    return Run(
        title=f"{action}: {', '.join(services) or 'all services'}",
        argv=(
            str(deployment.installed.bin / "ansible-playbook"),
            *("--inventory", str(place.inventory)),
            *("-e", f"@{place.globals}", "-e", f"@{place.passwords}"),
            *("-e", f"kolla_action={action}", *serial),
            *("-e", f"CONFIG_DIR={place.root}"),
            *first,
            *(("--tags", ",".join(tags)) if tags else ()),
            str(place.shadow / site.file_of(lane)),
        ),
        env=_environment(deployment),
        log=place.logs / f"{lane}.log",
    )


def _services(deployment: Deployment, lane: str) -> tuple[str, ...]:
    plays = deployment.lanes[lane]
    names = (each.service for each in plays if each.service not in site.ALWAYS)
    return tuple(dict.fromkeys(names))


def _environment(deployment: Deployment) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {
        "ANSIBLE_CONFIG": str(deployment.place.ansible_cfg),
        "PATH": f"{deployment.installed.bin}{os.pathsep}{path}",
        "LC_ALL": "C.UTF-8",  # Ansible refuses to start in any other encoding
        "PYTHONUNBUFFERED": "1",
    }


def _write_config(deployment: Deployment) -> None:
    folder = deployment.place.config
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in deployment.config.items():
        _put(folder / name, text)
    if deployment.custom:
        shutil.copytree(deployment.custom, folder, dirs_exist_ok=True)


def _write_credentials(
    deployment: Deployment, passwords: Mapping[str, Any]
) -> Credentials:
    account = Credentials(
        url=deployment.url,
        password=str(passwords["keystone_admin_password"]),
        region=str(deployment.variables.get("openstack_region_name", "RegionOne")),
        cacert=_authority(deployment),
    )
    write_secret(deployment.place.openrc, openrc(account))
    write_secret(deployment.place.clouds, clouds_yaml(account))
    return account


def _authority(deployment: Deployment) -> str:
    """Return the file of who signed the certificate, empty for one the world knows."""
    made = deployment.authority
    if made is None:
        return ""
    named = deployment.variables.get("kolla_admin_openrc_cacert")
    if named:
        return str(Path(str(named)).expanduser().resolve())
    return str(made.resolve()) if made.is_file() else ""


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
