"""The node image: built from a Debian base, cached by what it is made of."""

import hashlib
import os
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from enos.errors import CapabilityError, ImageError, ProcessError
from enos.process import Shell
from enos.progress import Progress, Step
from enos_local import aptsources, engine, hostconfig
from enos_local.container import scratch

BASE = "debian:trixie"
NAME = "enos-node"
HUB = "https://registry-1.docker.io/v2/"
KEYRING = Path(aptsources.KEYRING)


def registry_answers(url: str, seconds: float = 5.0) -> bool:
    """Tell whether a container registry answers at an https URL ending in /v2/."""
    try:
        with urlopen(url, timeout=seconds):  # noqa: S310 - constant https URLs only
            return True
    except HTTPError as refusal:
        # 401 is how the registry protocol says "here I am, log in".
        return refusal.headers.get("Docker-Distribution-Api-Version") is not None
    except (URLError, OSError):
        return False


def ensure(shell: Shell, progress: Progress, step: Step, cache: Path) -> str:
    """Return the tag of the node image, building it when it is not there.

    Raises CapabilityError when no base image can be had, ImageError when the build
    fails; its log is `cache`/logs/node-image.log.
    """
    with scratch(cache, "node-image") as folder:
        base = ensure_base(shell, progress, step, folder)
        context = build_context(shell)
        tag = f"{NAME}:{content_hash(context, base)}"
        if shell.run(["docker", "image", "inspect", tag], check=False).ok:
            step.skipped(f"{tag} is there")
        else:
            _build(shell, step, tag, _write(folder / "context", context), cache)
            _forget_older(shell, tag)
    return tag


def _build(shell: Shell, step: Step, tag: str, context: Path, cache: Path) -> None:
    log = cache / "logs/node-image.log"
    try:
        shell.stream(build_argv(tag, context), log=log, on_line=_watch(step))
    except ProcessError as failed:
        hint = "check that the host's own `apt-get update` works, then try again"
        raise ImageError(
            f"the node image cannot be built; the whole output is in `{log}`",
            hint=hint,
            details=failed.details,
        ) from failed


def _forget_older(shell: Shell, tag: str) -> None:
    listing = ("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", NAME)
    for other in shell.run(listing).stdout.split():
        if other != tag:
            shell.run(["docker", "rmi", other], check=False)  # refused while in use


def build_argv(tag: str, context: Path) -> tuple[str, ...]:
    """Return the argv that builds the node image on the host's own network."""
    proxies = (("--build-arg", f"{k}={v}") for k, v in _proxies().items())
    return (
        *("docker", "build", "--network", "host", "--tag", tag),
        *("--build-arg", f"BASE={BASE}"),
        *(word for pair in proxies for word in pair),
        str(context),
    )


def build_context(shell: Shell) -> dict[str, str]:
    """Return the build context: path in it → content."""
    context: dict[str, str] = {}
    _walk(files("enos_local") / "node", "", context)
    for path, text in hostconfig.image_files(shell).items():
        context[f"host/{path}"] = text
    return context


def content_hash(context: dict[str, str], base: str) -> str:
    """Return twelve hex digits that change with any file or the base image."""
    digest = hashlib.sha256(base.encode())
    for path in sorted(context):
        digest.update(f"\0{path}\0{context[path]}".encode())
    return digest.hexdigest()[:12]


def ensure_base(
    shell: Shell,
    progress: Progress,
    step: Step,
    folder: Path,
    answers: Callable[[str], bool] = registry_answers,
) -> str:
    """Return the id of `debian:trixie`, pulled or made by debootstrap when missing.

    `folder` is empty, for files in between; `answers` tells whether a registry does.
    """
    inspect = ("docker", "image", "inspect", "--format", "{{.Id}}", BASE)
    found = shell.run(inspect, check=False)
    if found.ok:
        return found.stdout.strip()
    if answers(HUB):
        step.awaiting(f"docker pull {BASE}")
        if shell.run(["docker", "pull", "--quiet", BASE], check=False).ok:
            return shell.run(inspect).stdout.strip()
    _bootstrap(shell, progress, step, folder)
    return shell.run(inspect).stdout.strip()


def _bootstrap(shell: Shell, progress: Progress, step: Step, folder: Path) -> None:
    mirror = hostconfig.mirror()
    why = f"Docker Hub does not answer: make {BASE} by debootstrap from"
    progress.decision(f"{why} {mirror.archive}")
    machine = engine.this_machine()
    _need_debootstrap(shell, step, machine)
    step.awaiting(f"debootstrap {hostconfig.SUITE}")
    tree, archive = folder / "tree", folder / "base.tar"
    key = ("--keyring", str(KEYRING)) if KEYRING.exists() else ()
    options = ("--variant=minbase", "--include=ca-certificates", *key)
    # In a mount namespace: a debootstrap that is killed leaves no /proc mounted.
    argv = ("unshare", "--mount", "debootstrap", *options, hostconfig.SUITE)
    log = folder.parent / "logs/debootstrap.log"
    shell.stream([*argv, tree, mirror.archive], log=log)
    without = ("--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*")
    shell.run(["tar", "-C", tree, *without, "-cf", archive, "."])
    shell.run(["docker", "import", archive, BASE])


def _need_debootstrap(shell: Shell, step: Step, machine: engine.Machine) -> None:
    if not machine.root:
        raise CapabilityError(
            f"the image {BASE} is missing and Docker Hub does not answer",
            hint=f"run enos once as root, or import {BASE} with `docker import`",
        )
    try:
        shell.run(["debootstrap", "--version"])
    except CapabilityError:
        if not machine.debian:
            raise
        step.awaiting("apt-get: debootstrap")
        engine.apt_install(shell, "debootstrap", "debian-archive-keyring")


def _proxies() -> dict[str, str]:
    return hostconfig.proxies(os.environ)


def _walk(folder: Traversable, prefix: str, into: dict[str, str]) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            _walk(entry, f"{prefix}{entry.name}/", into)
        else:
            into[prefix + entry.name] = entry.read_text(encoding="utf-8")


def _write(folder: Path, context: dict[str, str]) -> Path:
    for name, text in context.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def _watch(step: Step) -> Callable[[str], None]:
    def heard(line: str) -> None:
        if line.startswith(("Step ", "Get:", "Setting up ", "Unpacking ")):
            step.awaiting(line[:60])

    return heard
