"""Brings a machine to what a plan says, or removes it all; run there by python3.

Standard input carries the plan as JSON: ``place``, ``packages``, ``bundle`` (the
``path`` and ``sha256`` of a tar file with the packages' programs, or null: the
machine's own apt is asked), ``files`` (path → ``text`` and ``mode``), ``units``; or
``remove: true``. Killed at any point, the
next run converges: programs appear by one rename, and units are restarted unless the
mark ``applied``, written last, names exactly what is there.

Exit status 3: the machine lacks something (apt, systemd, a package); 5: the bundle is
needed and not there yet.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

LACKING, NEEDED = 3, 5
LIBPYTHON = re.compile(rb"(libpython3\.\d+)\.so")
UNITS = Path("/etc/systemd/system")


def main() -> None:
    """Do what the plan on standard input says."""
    plan = json.load(sys.stdin)
    place = Path(plan["place"])
    if plan.get("remove"):
        remove(place, plan["units"])
        return
    if plan["units"] and not Path("/run/systemd/system").is_dir():
        lacking("systemd does not run here")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if plan["packages"]:
        unpack(place, plan["packages"], plan["bundle"])
    for path, file in plan["files"].items():
        write(Path(path), file["text"], file["mode"])
    wanted = fingerprint(plan)
    mark = place / "applied"
    same = mark.exists() and mark.read_text(encoding="ascii") == wanted
    if plan["units"]:
        start(plan["units"], same=same)
        write(mark, wanted, 0o644)


def fingerprint(plan: Mapping[str, Any]) -> str:
    """Return a hash of all that a restart depends on."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def start(units: Sequence[str], *, same: bool) -> None:
    """Start the units, anew unless they run what is wanted already."""
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--quiet", *units)
    run("systemctl", "start" if same else "restart", *units)


def remove(place: Path, units: Sequence[str]) -> None:
    """Stop the units and remove every file; harmless when nothing is there."""
    there = [unit for unit in units if (UNITS / unit).exists()]
    if there:
        run("systemctl", "disable", "--quiet", "--now", *there)
        for unit in there:
            (UNITS / unit).unlink()
        run("systemctl", "daemon-reload")
    if shutil.which("docker"):  # its folder may be gone without it
        attempt("docker", "rm", "--force", "enos_grafana")
    if place.exists():
        shutil.rmtree(place)


def unpack(
    place: Path, packages: Sequence[str], bundle: "Mapping[str, str] | None"
) -> None:
    """Have the programs in ``root``."""
    root, draft = place / "root", place / "root.part"
    wanted = bundle["sha256"] if bundle else " ".join(packages)
    mark = root / "packages"
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    if bundle:
        own = taken(Path(bundle["path"]), bundle["sha256"], place / "bundle")
        run("tar", "--no-same-owner", "-xzf", str(own), "-C", str(draft))
        own.unlink()
    else:
        gather(place / "debs", draft, packages)
    (draft / "packages").write_text(wanted, encoding="utf-8")
    shutil.rmtree(root, ignore_errors=True)
    draft.rename(root)
    shutil.rmtree(place / "debs", ignore_errors=True)


def taken(arrived: Path, digest: str, own: Path) -> Path:
    """Return our own copy of what arrived where anybody may write, if it is right."""
    if arrived.exists():
        shutil.copyfile(arrived, own)
        if hashlib.sha256(own.read_bytes()).hexdigest() == digest:
            arrived.unlink()
            return own
    sys.exit(NEEDED)


def gather(debs: Path, root: Path, packages: Sequence[str]) -> None:
    """Unpack packages of the machine's own mirrors, and the Python collectd needs."""
    fetch(debs, packages)
    expand(debs, root)
    library = libpython(root)
    if library:
        fetch(debs, [library])
        expand(debs, root)
        gather_libraries(root)


def libpython(root: Path) -> str:
    """Return the library collectd's Python is, also its package's name; or empty."""
    plugin = root / "usr/lib/collectd/python.so"
    found = LIBPYTHON.search(plugin.read_bytes()) if plugin.exists() else None
    return found[1].decode() if found else ""


def gather_libraries(root: Path) -> None:
    """Put libpython where it is found whatever the processor is called."""
    libraries = root / "usr/lib/enos"
    libraries.mkdir(parents=True, exist_ok=True)
    for library in root.glob("usr/lib/*/libpython3*.so.*"):
        library.rename(libraries / library.name)


def fetch(debs: Path, packages: Sequence[str]) -> None:
    """Download packages into an empty folder, from the machine's own mirrors."""
    if not shutil.which("apt-get"):
        lacking("it has no apt: monitoring takes Debian's or Ubuntu's packages")
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir()
    # The list may be missing or old: it is only fetched when it does not do.
    first = attempt("apt-get", "-qq", "download", *packages, cwd=debs)
    if first.returncode:
        attempt("apt-get", "-qq", "update")
        again = attempt("apt-get", "-qq", "download", *packages, cwd=debs)
        if again.returncode:
            lacking(f"apt cannot get {', '.join(packages)}: {last_line(again)}")


def expand(debs: Path, root: Path) -> None:
    """Unpack every package of a folder."""
    for deb in sorted(debs.glob("*.deb")):
        run("dpkg-deb", "--extract", str(deb), str(root))


def write(path: Path, text: str, mode: int) -> None:
    """Write a file in one step, unless it says that already."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        path.chmod(mode)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w"
    ) as f:
        f.write(text)
        os.fsync(f.fileno())
    draft.chmod(mode)
    draft.replace(path)


def run(*argv: str) -> str:
    """Return what a program prints; ends this one with its complaint if it fails."""
    done = attempt(*argv)
    if done.returncode:
        sys.exit(f"{argv[0]} {argv[1]}: {last_line(done)}")
    return done.stdout


def attempt(
    *argv: str, cwd: "Path | None" = None
) -> "subprocess.CompletedProcess[str]":
    """Run a program without a terminal."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd=cwd, env=environ
    )


def last_line(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the line that says why it failed."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    errors = [line for line in lines if line.startswith("E:")]
    return (errors or lines or [f"status {done.returncode}"])[-1]


def lacking(what: str) -> NoReturn:
    """End with the status that says that this machine cannot."""
    sys.stderr.write(what + "\n")
    sys.exit(LACKING)


if __name__ == "__main__":
    main()
