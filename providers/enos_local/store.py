"""The container images of all experiments, built or pulled once, in every node.

One folder of the cache, mounted read-only in each node (`/enos/store`):

    docker/      the data root of the builder, a container that runs Docker alone
    layers/ID    the image layers, moved here when the builder ends; it keeps links
    sets/HASH    Docker's image database as it was when the builder last ended
    current      link to the set a new node takes at its first start

A node links the layers into its own Docker and copies the database, which takes
a fraction of a second whatever the size. `node/rootfs/usr/lib/enos/publish-images`
and `take-images` are the two halves.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from enos.errors import CapabilityError, ProviderError
from enos.process import Shell
from enos.progress import Progress
from enos_local.container import RM, daemon_json, put_files, scratch, write_files
from enos_local.layout import NODE

INSIDE = "/enos/store"
BUILDER = "enos.builder"
# File systems an overlay cannot write to (Documentation/filesystems/overlayfs.rst).
NO_OVERLAY = frozenset(
    {"overlayfs", "nfs", "smb2", "cifs", "v9fs", "fuseblk", "ecryptfs"}
)
SOCKET_LIMIT = 107  # sun_path of unix(7), less its final zero
READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where the images are.

    Attributes:
        path: the folder; files in it belong to root.
        volume: Docker volume that takes the folder's place, empty for none.

    """

    path: Path
    volume: str = ""

    @property
    def builder(self) -> str:
        """Return the name of the builder's container."""
        digest = hashlib.sha256(os.fspath(self.path).encode()).hexdigest()
        return f"enos-builder-{digest[:8]}"

    @property
    def sockets(self) -> Path:
        """Return the folder of the builder's socket."""
        return self.path.parent / "run"

    @property
    def dirty(self) -> Path:
        """Return the file that is there from a builder's start to its publishing."""
        return self.path.parent / "images.dirty"

    def mount(self, *, writable: bool = False) -> tuple[str, ...]:
        """Return the flags that mount it in a container."""
        mode = "" if writable else ",readonly"
        kind = "volume" if self.volume else "bind"
        source = self.volume or self.path
        return ("--mount", f"type={kind},src={source},dst={INSIDE}{mode}")


def open_store(shell: Shell, progress: Progress, cache: Path) -> Store:
    """Return the store of a cache folder, made when missing.

    Raises CapabilityError for a folder whose path is too long for a socket.
    """
    store = Store(path=cache / "images")
    store.path.mkdir(parents=True, exist_ok=True)
    kind = shell.run(
        ["stat", "--file-system", "--format=%T", store.path]
    ).stdout.strip()
    if kind in NO_OVERLAY:
        store = replace(store, volume=store.builder.replace("builder", "images"))
        why = f"`{store.path}` is on {kind}, which cannot hold image layers"
        progress.decision(f"{why}: they are kept in the Docker volume {store.volume}")
    store.sockets.mkdir(exist_ok=True)
    socket = store.sockets / "docker.sock"
    if len(os.fsencode(socket)) > SOCKET_LIMIT:
        message = f"the path of the socket `{socket}` is longer than a socket's may be"
        hint = "set XDG_CACHE_HOME to a folder with a shorter path"
        raise CapabilityError(message, hint=hint)
    return store


@contextmanager
def builder(
    shell: Shell,
    store: Store,
    *,
    image: str,
    flags: Sequence[str],
    environment: Mapping[str, str],
) -> Iterator[str]:
    """Run a Docker daemon on the store for the block; yield its DOCKER_HOST.

    One at a time on a machine: a second one waits for the first to end.
    """
    with _locked(store, wait=True):
        if store.dirty.exists():  # an earlier one was killed, maybe while publishing
            _stop(shell, store)
            _publish(shell, store, image)
        store.dirty.touch()
        _start(shell, store, image, flags, environment)
        try:
            yield f"unix://{store.sockets / 'docker.sock'}"
        finally:
            _stop(shell, store)
            _publish(shell, store, image)


def settle(shell: Shell, progress: Progress, store: Store, image: str) -> None:
    """Finish what a killed builder left undone; harmless while another one runs."""
    with _locked(store, wait=False) as mine:
        if mine and store.dirty.exists():
            progress.decision(
                "the image builder was interrupted: publish what it holds"
            )
            _stop(shell, store)
            _publish(shell, store, image)


@contextmanager
def _locked(store: Store, *, wait: bool) -> Iterator[bool]:
    with (store.path.parent / "images.lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _start(
    shell: Shell,
    store: Store,
    image: str,
    flags: Sequence[str],
    environment: Mapping[str, str],
) -> None:
    shell.run([*RM, store.builder], check=False)
    (store.sockets / "docker.sock").unlink(missing_ok=True)
    shell.run(
        [
            *("docker", "create", "--name", store.builder, "--hostname", "builder"),
            *("--label", f"{BUILDER}={store.path}"),
            *store.mount(writable=True),
            *("--mount", f"type=bind,src={store.sockets},dst=/enos/run"),
            *("--env", f"ENOS_DATA_ROOT={INSIDE}/docker"),
            *("--env", f"ENOS_SOCKET_GROUP={os.getgid()}"),
            *flags,
            image,
        ]
    )
    with scratch(store.path.parent, "builder-files") as folder:
        lines = (f"{name}={value}\n" for name, value in environment.items())
        files = {"environment": "".join(lines), "daemon.json": daemon_json()}
        write_files(folder, files)
        put_files(shell, store.builder, folder)
    shell.run(["docker", "start", store.builder])
    _await(shell, store)


def _await(shell: Shell, store: Store) -> None:
    host = f"unix://{store.sockets / 'docker.sock'}"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if (store.sockets / "docker.sock").exists():
            asked = shell.run(["docker", "--host", host, "version"], check=False)
            if asked.ok:
                return
        time.sleep(0.2)
    log = shell.run(["docker", "logs", "--tail", "30", store.builder], check=False)
    raise ProviderError(
        f"the Docker of `{store.builder}` does not answer after {READY_SECONDS:g} s",
        hint=f"see `docker exec {store.builder} journalctl -u docker`",
        details=log.stdout + log.stderr,
    )


def _stop(shell: Shell, store: Store) -> None:
    # An orderly end of the daemon, which closes its databases; the rest need not.
    units = ("docker.socket", "docker.service", "containerd.service")
    stop = ("docker", "exec", store.builder, "systemctl", "stop", *units)
    shell.run(stop, check=False)
    shell.run([*RM, store.builder], check=False)


def _publish(shell: Shell, store: Store, image: str) -> None:
    living = ("docker", "ps", "--all", "--quiet", "--filter", f"label={NODE}")
    sweep = () if shell.run(living).stdout.strip() else ("--sweep",)
    shell.run(
        [
            *("docker", "run", "--rm", "--network", "none"),
            *store.mount(writable=True),
            *("--entrypoint", "python3", image),
            *("/usr/lib/enos/publish-images", INSIDE, *sweep),
        ]
    )
    store.dirty.unlink(missing_ok=True)
