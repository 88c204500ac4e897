"""Docker on this machine: there, running, or a sentence that says what to do."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from enos.errors import CapabilityError, ProcessError
from enos.process import MARK, Completed, Shell
from enos.progress import Progress, Step

SYSTEMD = Path("/run/systemd/system")
OS_RELEASE = Path("/etc/os-release")
PROGRAMS = (
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("ip", "iproute2"),
)
SBIN = "/usr/sbin:/usr/local/sbin:/sbin"
START_SECONDS = 60.0
ADD_TO_GROUP = "run `sudo usermod --append --groups docker $USER` and log in again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What may be done about a missing Docker.

    Attributes:
        debian: True on Debian, Ubuntu and their kin.
        systemd: True when systemd runs the machine's services.

    """

    root: bool
    debian: bool
    systemd: bool


def this_machine() -> Machine:
    """Look at the machine and the account."""
    try:
        release = OS_RELEASE.read_text(encoding="utf-8")
    except OSError:
        release = ""
    ids = [r.partition("=")[2] for r in release.splitlines() if r.startswith("ID")]
    return Machine(
        root=os.geteuid() == 0,
        debian="debian" in " ".join(ids),
        systemd=SYSTEMD.is_dir(),
    )


def ensure(
    shell: Shell, progress: Progress, step: Step, machine: Machine, log: Path
) -> None:
    """Make Docker answer, installing and starting it where that is allowed.

    Raises CapabilityError, with the command that helps, where it is not.
    """
    _need_programs(shell, progress, step, machine)
    answer = ask(shell)
    # A client alone, whatever it talks to elsewhere, is no Docker of this machine.
    alone = answer is not None and not answer.ok and machine.root and _no_daemon()
    if answer is None or alone:
        _install(shell, progress, step, machine)
        answer = ask(shell)
    if answer is None or not answer.ok:
        _start(shell, progress, step, machine, answer, log)


def missing_programs() -> dict[str, str]:
    """Return the programs this provider starts that are not here → their packages."""
    return {name: package for name, package in PROGRAMS if shutil.which(name) is None}


def _no_daemon() -> bool:
    return all(shutil.which("dockerd", path=path) is None for path in (None, SBIN))


def _need_programs(
    shell: Shell, progress: Progress, step: Step, machine: Machine
) -> None:
    missing = missing_programs()
    if not missing:
        return
    names, packages = ", ".join(missing), sorted(set(missing.values()))
    if not (machine.root and machine.debian):
        hint = f"install the packages {' '.join(packages)}"
        raise CapabilityError(f"not installed: {names}", hint=hint)
    progress.decision(f"{names}: missing, install {' '.join(packages)} by apt-get")
    step.awaiting(f"apt-get: {' '.join(packages)}")
    apt_install(shell, *packages)


def ask(shell: Shell) -> Completed | None:
    """Return what `docker version` says; None when there is no `docker` program."""
    argv = ("docker", "version", "--format", "{{.Server.Version}}")
    try:
        return shell.run(argv, check=False, timeout=30)
    except CapabilityError:
        return None
    except ProcessError as late:
        return Completed(argv=argv, returncode=1, stderr=late.message)


def _install(shell: Shell, progress: Progress, step: Step, machine: Machine) -> None:
    if not (machine.root and machine.debian):
        how = "`sudo apt-get install docker.io`" if machine.debian else "your packages"
        raise CapabilityError(
            "Docker is not installed",
            hint=f"install it by {how}, or run enos as root on Debian or Ubuntu",
        )
    progress.decision("Docker is missing: install docker.io and iptables by apt-get")
    step.awaiting("apt-get: docker.io")
    apt_install(shell, "docker.io", "iptables")
    if ask(shell) is None:  # from trixie on the client is a package of its own
        apt_install(shell, "docker-cli")


def apt_install(shell: Shell, *packages: str) -> None:
    """Install packages on this machine; raises ProcessError."""
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    shell.run(["apt-get", "update", "-q"], env=env)
    install = ("apt-get", "install", "-q", "-y", "--no-install-recommends")
    shell.run([*install, *packages], env=env)


def _start(
    shell: Shell,
    progress: Progress,
    step: Step,
    machine: Machine,
    answer: Completed | None,
    log: Path,
) -> None:
    said = answer.stderr.strip() if answer else ""
    if "permission denied" in said.lower():
        message = "this account may not use Docker"
        raise CapabilityError(message, hint=ADD_TO_GROUP, details=said)
    if not machine.root:
        message = "Docker is installed but does not answer"
        hint = "start it with `sudo systemctl start docker`"
        raise CapabilityError(message, hint=hint, details=said)
    if machine.systemd:
        progress.decision("Docker is not running: systemctl start docker")
        shell.run(["systemctl", "start", "docker"], check=False)
    else:
        progress.decision(f"Docker is not running: start dockerd, log in `{log}`")
        _launch(shell, log)
    _await(shell, step, log)


def _launch(shell: Shell, log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    # Without the mark of this session: the daemon outlives it and serves others.
    script = 'exec dockerd >> "$1" 2>&1 < /dev/null'
    argv = ("env", "-u", MARK, "setsid", "-f", "sh", "-c", script, "sh", str(log))
    shell.run(argv)


def _await(shell: Shell, step: Step, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    step.awaiting("Docker")
    while time.monotonic() < deadline:
        answer = ask(shell)
        if answer and answer.ok:
            return
        time.sleep(0.5)
    message = f"Docker does not answer {START_SECONDS:g} s after its start"
    hint = f"read `{log}` or `journalctl -u docker`, then run the same command again"
    raise CapabilityError(message, hint=hint)
