"""The programs that measure, from Debian's packages: fetched here, once.

Machines need no way to a mirror then, and all of them, today and in a year, run the
same versions. A machine of another distribution is left to its own apt.
"""

import hashlib
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from enos.cloud.debian import Packages
from enos.errors import CapabilityError, ImageError
from enos.metrics.hosts import install
from enos.metrics.plan import AGENT, DATABASE, PACKAGES, MonitoringPlan
from enos.phases.session import Session
from enos.process import Shell
from enos.progress import Progress
from enos.remote import on_each, run_on
from enos.state.locks import locked
from enos.testbed import Host

ASK = (
    '. /etc/os-release; echo "$ID ${VERSION_CODENAME:--} $(dpkg --print-architecture)"'
)
RECIPE = 1  # raise it when what is kept of the packages changes
KEPT = {
    AGENT: (
        "usr/sbin/collectd",
        "usr/lib/collectd/python.so",
        "usr/lib/collectd/interface.so",
        "usr/lib/collectd/load.so",
        "usr/lib/collectd/disk.so",
        "usr/share/collectd/types.db",
        "usr/lib/python3/dist-packages/pymysql",
        "usr/lib/enos",
    ),
    DATABASE: ("usr/bin/influxd",),
}
"""unit → what of its packages it runs with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What tells one machine's packages from another's."""

    distribution: str
    suite: str
    architecture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Bundles of programs, kept in the cache.

    Attributes:
        cache: the folder all experiments of this user share.

    """

    cache: Path
    shell: Shell
    progress: Progress

    def bundle(self, kind: Kind, units: Sequence[str]) -> Path:
        """Return a tar file with the programs of some units, made when missing.

        Raises CapabilityError when this machine cannot get Debian's packages.
        """
        recipe = f"{RECIPE} {sorted(units)} {[KEPT[unit] for unit in sorted(units)]}"
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
        name = f"enos-metrics-{kind.suite}-{kind.architecture}-{digest}.tar.gz"
        file = self.cache / "metrics" / name
        with locked(file.with_suffix(".lock")):
            if not file.exists():
                with self.progress.step(f"packages for {kind.suite}") as step:
                    step.awaiting(", ".join(units))
                    self._make(file, kind, units)
        return file

    def unpacked(self, kind: Kind, units: Sequence[str]) -> Path:
        """Return a folder with the same programs, for this machine's own use."""
        bundle = self.bundle(kind, units)
        folder = bundle.with_suffix("").with_suffix("")
        with locked(bundle.with_suffix(".lock")):
            if not folder.exists():
                draft = _empty(folder.with_suffix(".part"))
                with tarfile.open(bundle) as tar:
                    tar.extractall(draft, filter="data")
                draft.rename(folder)
        return folder

    def _make(self, file: Path, kind: Kind, units: Sequence[str]) -> None:
        folder = _empty(file.with_suffix(".part"))
        try:
            root = folder / "root"
            self._gather(folder / "apt", root, kind, units)
            draft = folder / file.name
            with tarfile.open(draft, "w:gz", compresslevel=6) as tar:
                for path in (path for unit in units for path in KEPT[unit]):
                    tar.add(root / path, arcname=path)
            draft.replace(file)
        finally:
            shutil.rmtree(folder)

    def _gather(
        self, place: Path, root: Path, kind: Kind, units: Sequence[str]
    ) -> None:
        """Unpack the units' packages, and the Python that collectd needs."""
        wanted = [package for unit in units for package in PACKAGES[unit]]
        packages = Packages(
            place=place,
            suite=kind.suite,
            architecture=kind.architecture,
            shell=self.shell,
        )
        try:
            packages.update()
            packages.unpack(wanted, root)
            if library := install.libpython(root):
                packages.unpack([library], root)
                install.gather_libraries(root)
        except (ImageError, CapabilityError) as away:
            raise CapabilityError(
                f"Debian's {', '.join(wanted)} cannot be had",
                hint="check this machine's apt mirror",
                details=f"{away.message}\n{away.details}".strip(),
            ) from away


def kind_of(told: str) -> Kind:
    """Return the kind of machine that the output of `ASK` tells of.

    >>> kind_of("debian trixie amd64")
    Kind(distribution='debian', suite='trixie', architecture='amd64')
    """
    distribution, suite, architecture = (*told.split(), "", "", "")[:3]
    return Kind(distribution=distribution, suite=suite, architecture=architecture)


def bundles(plan: MonitoringPlan, session: Session) -> dict[str, Path]:
    """Return host → bundle, for the machines that run a Debian.

    For the others nothing: they ask their own apt. So do all where this machine
    cannot get packages itself.
    """
    sockets = session.directory.sockets
    store = Store(cache=session.cache, shell=session.shell, progress=session.progress)

    def ask(host: Host) -> Kind:
        done = run_on(session.shell, host, ("sh", "-c", ASK), sockets=sockets)
        return kind_of(done.stdout)

    kinds = on_each((one.host for one in plan.hosts), ask)
    found = {}
    try:
        for one in plan.hosts:
            kind = kinds[one.host.name]
            if kind.distribution == "debian":
                found[one.host.name] = store.bundle(kind, one.units)
    except CapabilityError as lacking:
        why = f"{lacking.message}: the machines ask their own mirrors"
        session.progress.decision(why)
        return {}
    return found


def _empty(folder: Path) -> Path:
    """Return an empty folder, whatever a killed enos left under its name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
