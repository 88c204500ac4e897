"""Undoes what the role enos_node wrote on a machine: `python3 - [ROOT]`, as root.

Prints a line for each thing done. What is not there is left alone, so it may be run at
any time and again. Written for the Python of the machines, without other modules.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

BLOCK = re.compile(r"^# BEGIN enos\n.*?^# END enos\n", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"^# enos: (?=127\.)", re.MULTILINE)
KEY = "insecure-registries"
KNOWN = "{{range $name, $_ := .RegistryConfig.IndexConfigs}}{{println $name}}{{end}}"
PATIENCE = 30.0


def names(hosts: Path) -> "list[str]":
    """Take enos's names out of /etc/hosts; give the machine's own line back."""
    text = hosts.read_text()
    plain = HIDDEN.sub("", BLOCK.sub("", text))
    if plain == text:
        return []
    hosts.write_text(plain)  # in place: in a container the file is a mount
    return ["/etc/hosts"]


def registries(daemon: Path, added: Path) -> "list[str]":
    """Take the registries enos added out of Docker's configuration and its memory."""
    if not added.exists():
        return []
    if daemon.exists():
        take_out(set(added.read_text().split()), daemon)
    added.unlink()  # last: what is killed before is done again
    return ["/etc/docker/daemon.json"]


def take_out(mine: "set[str]", daemon: Path) -> None:
    """Have registries neither in Docker's configuration nor in what it remembers."""
    settings = json.loads(daemon.read_text())
    # On SIGHUP dockerd takes the list over from a file that names it, and from no
    # other: one without anything in it has to be there until then.
    settings[KEY] = [one for one in settings.get(KEY, ()) if one not in mine]
    write(daemon, settings)
    forget(mine)
    if not settings[KEY]:
        del settings[KEY]
        write(daemon, settings)
    if not settings:
        daemon.unlink()


def write(daemon: Path, settings: "dict[str, object]") -> None:
    """Write Docker's configuration, whole or not at all."""
    draft = daemon.with_name(daemon.name + ".enos")
    draft.write_text(json.dumps(settings, indent=4) + "\n")
    draft.replace(daemon)


def forget(mine: "set[str]") -> None:
    """Have a Docker that runs read its configuration (dockerd(8)), and wait for it."""
    argv = ["systemctl", "reload", "docker"]
    if subprocess.run(argv, check=False).returncode != 0:
        return  # it does not run: it reads the file when it starts
    late = time.monotonic() + PATIENCE
    while mine & known():
        if time.monotonic() > late:
            sys.exit("Docker does not forget " + ", ".join(sorted(mine & known())))
        time.sleep(0.2)


def known() -> "set[str]":
    """Return the registries the running Docker has settings for."""
    argv = ["docker", "info", "--format", KNOWN]
    told = subprocess.run(argv, check=False, stdout=subprocess.PIPE)
    return set(told.stdout.decode().split())


def main(root: Path) -> None:
    """Restore the machine whose files are below a folder."""
    told = names(root / "etc/hosts")
    told += registries(
        root / "etc/docker/daemon.json", root / "var/lib/enos/registries"
    )
    sys.stdout.writelines(line + "\n" for line in told)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/"))
