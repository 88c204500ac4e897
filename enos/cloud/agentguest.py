"""The image Shaker's guests boot: enos's guest with Python, Shaker's agent and iperf3.

    agent_image(archive, flent, cache, shell, progress) -> GuestImage

It is made from Debian's packages like the other one, and from an archive of the
agent's Python packages. All modules are compiled here, by the guest's own Python, and
their sources left out: an emulated guest would take a minute to compile them. The
programs Shaker's Heat templates and tests call are there: `screen`, `shaker-agent`,
`flent`, `bash`, `iperf3` (which also listens).
"""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from enos.cloud import guest, ramdisk
from enos.cloud.guest import GuestImage, Variant, made_image
from enos.errors import ImageError, ProcessError
from enos.process import Shell
from enos.progress import Progress

NAME = "enos-shaker"
PYTHON = (3, 13)
"""Of Debian's release that guests are made from."""

_VERSION = ".".join(map(str, PYTHON))
_SITE = "usr/lib/python3/dist-packages"
PACKAGES = (
    *(f"python{_VERSION}-minimal", f"libpython{_VERSION}-minimal"),
    *(f"libpython{_VERSION}-stdlib", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5"),
    *("libuuid1", "libssl3t64", "libzstd1", "libstdc++6", "libgcc-s1"),
    *("iperf3", "libiperf0", "libsctp1", "bash", "libtinfo6", "grep", "libpcre2-8-0"),
)
LEFT_OUT = frozenset(
    {
        *("test", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip"),
        *("pydoc_data", "__pycache__", "tests", "tzdata", "requests", "urllib3"),
        *("certifi", "charset_normalizer", "psutil"),
    }
)
"""Folders of modules that the agent never imports."""

_SOURCES = frozenset({".py", ".pyi", ".c", ".h", ".a", ".txt"})
"""Suffixes of files that no module needs when it runs; `.txt` are tables of vendors."""

_BINARIES = {
    f"usr/bin/python{_VERSION}": f"usr/bin/python{_VERSION}",
    "usr/bin/iperf3": "usr/bin/iperf3",
    "bin/bash": "usr/bin/bash",
    "bin/grep": "usr/bin/grep",
}
_AGENT = f"""#!/bin/sh
# Shaker's agent crashes without figures for its sockets and for its folder.
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python{_VERSION} -m shaker.agent.agent --agent-dir /tmp \\
    --agent-socket-recv-timeout 20000 --agent-socket-send-timeout 20000 \\
    --agent-socket-conn-retries 100000 --polling-interval 2 "$@"
"""
_SCREEN = """#!/bin/sh
# As much of screen(1) as Shaker's templates use: -dmS NAME COMMAND...
shift 2
setsid "$@" < /dev/null > /dev/console 2>&1 &
"""
_TRIAL = "from shaker.agent import agent"
_INITTAB = "::respawn:/usr/bin/iperf3 -s >/dev/null 2>&1\n"


def agent_image(
    archive: Path, flent: bytes, cache: Path, shell: Shell, progress: Progress
) -> GuestImage:
    """Return the image, building it when missing.

    Args:
        archive: tar of `site-packages` with Shaker's agent, for PYTHON.
        flent: the program of that name.
        cache: folder that all experiments of this user share.
        shell: see `guest_image`.
        progress: told of a build.

    Raises:
        ImageError: the packages cannot be had, or not be compiled here.
        CapabilityError: this machine has no apt or no archive keyring.

    """
    parts = _Parts(archive=archive, flent=flent, shell=shell)
    variant = Variant(
        name=NAME,
        title="guest image with Shaker's agent",
        recipe=parts.recipe,
        packages=PACKAGES,
        entries=parts.entries,
        min_ram=384,
    )
    return made_image(variant, cache, shell, progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    archive: Path
    flent: bytes
    shell: Shell

    @property
    def recipe(self) -> str:
        """Return a hash of what is added beside Debian's packages."""
        own = Path(__file__).read_bytes() + self.archive.name.encode()
        return hashlib.sha256(own + self.flent).hexdigest()[:12]

    def entries(self, root: Path) -> tuple[ramdisk.Entry, ...]:
        """Return what is added to the guest, Python compiled."""
        site = root / _SITE
        site.mkdir(parents=True, exist_ok=True)
        with tarfile.open(self.archive) as tar:
            tar.extractall(site, filter="data")
        _prune(root)
        _compile(root, self.shell)
        programs = {"shaker-agent": _AGENT.encode(), "screen": _SCREEN.encode()}
        programs["flent"] = self.flent
        inittab = Path(guest.__file__).parent / "guest_root/etc/inittab"
        return (
            *_libraries(root / "usr/lib/x86_64-linux-gnu"),
            *_modules(root, f"usr/lib/python{_VERSION}"),
            *_modules(root, _SITE),
            *(
                ramdisk.file(path, (root / source).read_bytes(), executable=True)
                for path, source in _BINARIES.items()
            ),
            *(
                ramdisk.file(f"usr/bin/{name}", text, executable=True)
                for name, text in programs.items()
            ),
            ramdisk.link("usr/bin/python3", f"python{_VERSION}"),
            ramdisk.link("usr/bin/env", "/bin/busybox"),
            ramdisk.file("etc/inittab", inittab.read_bytes() + _INITTAB.encode()),
        )


def _prune(root: Path) -> None:
    """Remove the modules that the agent never imports."""
    for base in (root / f"usr/lib/python{_VERSION}", root / _SITE):
        for path in sorted(base.rglob("*"), reverse=True):
            if path.is_dir() and path.name in LEFT_OUT:
                shutil.rmtree(path)


def _compile(root: Path, shell: Shell) -> None:
    """Compile all modules by the Python that will run them, then try the agent."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    python = (
        *(libraries / "ld-linux-x86-64.so.2", "--library-path", libraries),
        *(root / f"usr/bin/python{_VERSION}", "-S"),
    )
    folders = (root / f"usr/lib/python{_VERSION}", root / _SITE)
    compiled = ("-m", "compileall", "-b", "-q", "-s", root, "-p", "/", *folders)
    env = {
        "PYTHONHOME": os.fspath(root / "usr"),
        "PYTHONPATH": os.fspath(root / _SITE),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        shell.run((*python, *compiled), env=env, timeout=600)
        shell.run((*python, "-c", _TRIAL), env=env, timeout=60)
    except ProcessError as error:
        raise ImageError(
            f"the guest's Python modules cannot be made here: {error.message}",
            hint="build on x86-64, or set `shaker: image:` to an image of yours",
            details=error.details,
        ) from error


def _libraries(folder: Path) -> Iterator[ramdisk.Entry]:
    """Yield the shared libraries of a folder, without the plug-ins below it."""
    for path in sorted(folder.glob("*.so*")):
        target = f"usr/lib/x86_64-linux-gnu/{path.name}"
        if path.name in guest.SHARED:
            continue  # the guest has them already
        if path.is_symlink():
            yield ramdisk.link(target, str(path.readlink()))
        else:
            yield ramdisk.file(target, path.read_bytes(), executable=True)


def _modules(root: Path, folder: str) -> Iterator[ramdisk.Entry]:
    """Yield compiled modules, shared objects and data below a folder; no sources."""
    for path in sorted((root / folder).rglob("*")):
        if path.is_file() and path.suffix not in _SOURCES:
            target = f"{folder}/{path.relative_to(root / folder)}"
            data = path.read_bytes()
            yield ramdisk.file(target, data, executable=path.suffix == ".so")
