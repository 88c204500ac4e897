"""The kit: what goes into the images from outside, fetched once and kept in the cache.

All Python packages are installed here, on this machine, by uv for the Python of the
images, from the index, proxy and certificates that the user's own uv configuration
names. The result is packed and unpacked in the image as it is. So no
build container talks to an index, and no address or password of one can stay behind.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from enos.errors import ImageError, ProcessError
from enos.images.locks import Collections, ImageLock
from enos.images.recipe import EXECUTABLE, HERE, adapt, adapted
from enos.process import Shell
from enos.progress import Step
from enos.toolenvs import find_uv

SERVICES = "var/lib/kolla/venv"
TOOLBOX = "opt/ansible"
COLLECTIONS = "usr/share/ansible/collections/ansible_collections"
DRAFT = ".draft-"
"""Names of unfinished folders begin with it: a killed run may leave one."""
GLIBC = {"bookworm": "2_36", "trixie": "2_40"}
"""glibc of the suites, or the newest before it that uv knows: it decides about the
wheels that fit (PEP 600)."""

UWSGI = """\
#!/bin/sh
# Debian's uWSGI has these as plug-ins; PyPI's, which kolla takes, has them inside.
exec /usr/bin/uwsgi --plugins-dir /usr/lib/uwsgi/plugins --plugins http,python3 \\
    --virtualenv /var/lib/kolla/venv "$@"
"""

CONFIGURATION: Mapping[str, tuple[tuple[str, str], ...]] = {
    "keystone": (("keystone", "etc"),),
    "glance": (("glance", "etc"),),
    "placement": (),
    "nova": (("nova", "etc/nova"),),
    "heat": (("heat", "etc/heat"),),
    "neutron": (("neutron", "etc"), ("neutron/rootwrap.d", "etc/neutron/rootwrap.d")),
}
"""Project → folders below `etc` of the environment and where the project's source has
them: kolla copies a project's example configuration from its source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The Python that packages are installed for.

    Attributes:
        python: ``3.13``.
        platform: as `uv pip install --python-platform` names it.

    """

    python: str
    platform: str


def target(lock: ImageLock, machine: str) -> Target:
    """Return what the images of a release run on a machine type (`uname -m`)."""
    libc = GLIBC[lock.suite]
    return Target(python=lock.python, platform=f"{machine}-manylinux_{libc}")


def ensure_kit(
    shell: Shell, step: Step, lock: ImageLock, *, kolla: Path, place: Path, machine: str
) -> Path:
    """Return the folder with `overlay`, `sources` and `overrides.j2`, made if missing.

    Args:
        shell: runs uv and tar.
        step: hears what is being fetched.
        lock: versions.
        kolla: folder of kolla's own templates.
        place: where the kit is kept; its name holds the identity of the images.
        machine: machine type.

    Raises ImageError when packages cannot be had.

    """
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=place.parent, prefix=DRAFT) as folder:
        kit, trees = Path(folder) / "kit", Path(folder) / "trees"
        _lay_out(kit, kolla)
        fetch = Fetch(shell=shell, target=target(lock, machine), scratch=trees)
        step.awaiting("packages of the services and of kolla-toolbox")
        with ThreadPoolExecutor(2) as pool:
            works = (_services, _toolbox)
            for done in [pool.submit(work, fetch, lock, kit) for work in works]:
                done.result()
        # Tens of thousands of files, which Python would remove one after the other.
        shell.run(["rm", "-rf", trees])
        kit.replace(place)
    for old in place.parent.glob(f"{lock.release}-*"):
        if old != place:
            shutil.rmtree(old, ignore_errors=True)
    return place


def _lay_out(kit: Path, kolla: Path) -> None:
    shutil.copytree(HERE / "overlay", kit / "overlay")
    shutil.copy(HERE / "overrides.j2", kit / "overrides.j2")
    for name in EXECUTABLE:
        (kit / "overlay" / name).chmod(0o755)
    for template in adapted():
        text = (kolla / template / "Dockerfile.j2").read_text(encoding="utf-8")
        folder = kit / "overlay" / template
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile.j2").write_text(adapt(template, text), encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Installs packages for another Python than the running one."""

    shell: Shell
    target: Target
    scratch: Path

    def environment(self, name: str, requirements: str, inside: str) -> Path:
        """Return a root folder with a virtual environment at `inside`."""
        root = self.scratch / name
        place = root / inside
        self._install(name, requirements, ("--prefix", str(place)))
        # uv lays files out for the interpreter that runs it.
        mine = f"python{sys.version_info.major}.{sys.version_info.minor}"
        theirs = f"python{self.target.python}"
        if mine != theirs:
            (place / "lib" / mine).rename(place / "lib" / theirs)
        shutil.rmtree(place / "include", ignore_errors=True)
        _finish_environment(place, Path("/") / inside, theirs)
        return root

    def folder(self, name: str, requirements: str) -> Path:
        """Return a folder with the packages and nothing else."""
        place = self.scratch / name
        self._install(name, requirements, ("--target", str(place)))
        return place

    def pack(self, root: Path, archive: Path) -> None:
        """Pack a root folder, all of it owned by root, for `ADD` in a Dockerfile."""
        archive.parent.mkdir(parents=True, exist_ok=True)
        owner = ("--owner=0", "--group=0", "--numeric-owner", "--sort=name")
        self.shell.run(["tar", "-C", root, *owner, "-cf", archive, "."])

    def _install(self, name: str, requirements: str, where: tuple[str, str]) -> None:
        self.scratch.mkdir(parents=True, exist_ok=True)
        listed = self.scratch / f"{name}.txt"
        listed.write_text(requirements, encoding="utf-8")
        argv = (
            *(find_uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
            *("--python", sys.executable, "--python-version", self.target.python),
            *("--python-platform", self.target.platform),
            *(*where, "--requirement", str(listed)),
        )
        try:
            self.shell.run(argv)
        except ProcessError as failed:
            raise ImageError(
                f"the Python packages of the {name} cannot be had",
                hint="check that `uv pip install` reaches your package index; the"
                " command goes on from here",
                details=failed.details,
            ) from failed


def _finish_environment(place: Path, inside: Path, python: str) -> None:
    for script in (place / "bin").iterdir():
        if not script.read_bytes().startswith(b"#!"):
            continue
        text = interpreted_by(
            script.read_text(encoding="utf-8"), f"{inside}/bin/python"
        )
        script.unlink()  # it may be a hard link into uv's cache
        script.write_text(text, encoding="utf-8")
        script.chmod(0o755)
    for link, to in (("python", "/usr/bin/python3"), ("python3", "python")):
        (place / "bin" / link).symlink_to(to)
    (place / "lib" / "python3").symlink_to(python)
    (place / "pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = true\n", encoding="utf-8"
    )


def interpreted_by(script: str, interpreter: str) -> str:
    r"""Return a console script that another Python runs.

    >>> print(interpreted_by("#!/home/me/.venv/bin/python\nmain()", "/usr/bin/python3"))
    #!/usr/bin/python3
    main()

    A path too long for the kernel stands in a shell's `exec` instead (PEP 394's ruse).
    """
    _, _, rest = script.partition("\n")
    if rest.startswith("'''exec' "):
        _, _, rest = rest.partition("\n' '''\n")
    return f"#!{interpreter}\n{rest}"


def _services(fetch: Fetch, lock: ImageLock, kit: Path) -> None:
    root = fetch.environment("services", lock.services, SERVICES)
    uwsgi = root / SERVICES / "bin" / "uwsgi"
    uwsgi.write_text(UWSGI, encoding="utf-8")
    uwsgi.chmod(0o755)
    # kolla makes this link itself, and only in a folder that has none.
    (root / SERVICES / "lib" / "python3").unlink()
    for project, folders in CONFIGURATION.items():
        _project(kit / "sources" / project, root / SERVICES / "etc", folders)
    (kit / "sources" / "placement" / "etc" / "placement").mkdir(parents=True)
    _note(kit / "sources" / "placement" / "etc" / "placement")
    (kit / "sources" / "neutron" / "etc" / "neutron" / "plugins" / "ml2").mkdir(
        parents=True
    )
    constraints = kit / "sources" / "requirements" / "upper-constraints.txt"
    constraints.parent.mkdir()
    pinned = (line.split()[0] for line in lock.services.splitlines() if "==" in line)
    constraints.write_text("".join(f"{line}\n" for line in pinned), encoding="utf-8")
    fetch.pack(root, kit / "overlay" / "openstack-base" / "venv.tar")


def _project(source: Path, etc: Path, folders: Iterable[tuple[str, str]]) -> None:
    source.mkdir(parents=True)
    for there, here in folders:
        if (etc / there).exists():
            shutil.copytree(etc / there, source / here, dirs_exist_ok=True)
    _note(source)


def _note(folder: Path) -> None:
    text = "Only the example configuration: the code is in /var/lib/kolla/venv.\n"
    (folder / "README.enos").write_text(text, encoding="utf-8")


def _toolbox(fetch: Fetch, lock: ImageLock, kit: Path) -> None:
    root = fetch.environment("toolbox", lock.toolbox, TOOLBOX)
    for number, some in enumerate(lock.collections):
        found = fetch.folder(f"collections-{number}", some.requirement)
        _take(some, found / "ansible_collections", root / COLLECTIONS)
    fetch.pack(root, kit / "overlay" / "kolla-toolbox" / "venv.tar")


def _take(some: Collections, found: Path, into: Path) -> None:
    for name in some.names:
        part = Path(*name.split("."))
        if not (found / part).is_dir():
            message = f"`{some.package}` lacks the collection `{name}`"
            raise ImageError(message, hint="correct `release.yml` of the lock")
        shutil.copytree(found / part, into / part, copy_function=os.link)
