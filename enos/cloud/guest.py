"""The image virtual machines boot: built here from Debian's packages, or downloaded.

    guest_image(cache, shell, progress) -> GuestImage          here
    downloaded_image(url, checksum, cache, progress) -> GuestImage  `cloud.download`

The built one is Debian's cloud kernel, a ramdisk (busybox, dropbear, the scripts in
`guest_root/`) and an empty disk: Nova starts the kernel directly, which under
emulation is seconds faster than a boot loader. It asks DHCP for addresses, takes SSH
keys for root from the config drive or the metadata service, runs user data that starts
with `#!`, obeys the power button and writes lines that start with ``enos-guest:`` to
the serial console, ``enos-guest: ready`` once SSH answers.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from enos.cloud import ramdisk
from enos.cloud.debian import Packages
from enos.process import Shell
from enos.progress import Progress
from enos.state.locks import locked

NAME = "enos-guest"
SUITE = "trixie"
ARCHITECTURE = "amd64"
RECIPE = 1  # raise it when the build changes in a way its inputs do not show
LIBRARIES = ("libc6", "libcrypt1", "libtomcrypt1", "libtommath1", "zlib1g", "libgmp10")
SHARED = (
    "libc.so.6",
    "libcrypt.so.1",
    "libtomcrypt.so.1",
    "libtommath.so.1",
    "libz.so.1",
    "libgmp.so.10",
)
MODULES = (
    *("virtio_pci", "virtio_net", "virtio_blk", "virtio_rng", "virtio_scsi"),
    *("button", "evdev", "ata_piix", "ahci", "sd_mod", "sr_mod"),
    *("isofs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1"),
)
COMMAND_LINE = (
    "console=ttyS0 root=/dev/vda"
    # what costs emulated seconds and protects nothing in a guest of one minute
    " no_timer_check mitigations=off nokaslr lsm= cryptomgr.notests"
    # QEMU 7 without KVM corrupts registers around cmpxchg16b
    " clearcpuid=cx16"
)
PROPERTIES = {
    "hw_machine_type": "pc",
    "hw_rng_model": "virtio",
    "hw_disk_bus": "virtio",
    "hw_vif_model": "virtio",
    "os_command_line": COMMAND_LINE,
    "os_distro": "debian",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestImage:
    """Files and properties of an image for Glance.

    Attributes:
        disk: raw or qcow2, see `disk_format`.
        kernel: started directly by the hypervisor with `ramdisk`; both or neither.
        digest: of all files and properties, tells one build from another.
        user: whose SSH keys the guest takes.
        min_ram: in MiB.

    """

    name: str
    disk: Path
    disk_format: str
    kernel: Path | None = None
    ramdisk: Path | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    digest: str
    user: str = "root"
    min_ram: int = 0


def guest_image(cache: Path, shell: Shell, progress: Progress) -> GuestImage:
    """Return the image built from Debian's packages, building it when missing.

    Args:
        cache: folder that all experiments of this user share.
        shell: runs apt-get, apt-cache and dpkg-deb, none of them as root.
        progress: told of a build; of nothing when the image is there.

    Raises:
        ImageError: the packages cannot be had.
        CapabilityError: this machine has no apt or no archive keyring.

    """
    return made_image(Variant(), cache, shell, progress)


def is_built(cache: Path) -> bool:
    """Tell whether `guest_image` has nothing to build."""
    return (_place(cache, Variant()) / "digest").exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What an image holds beside the kernel, busybox and SSH.

    Attributes:
        title: of the step that builds it.
        recipe: of all that decides what is built, but the packages' versions.
        packages: of Debian, unpacked beside the others.
        entries: root folder with all packages unpacked → more entries of the ramdisk,
            which replace those of the same path.
        min_ram: in MiB.

    """

    name: str = NAME
    title: str = "guest image"
    recipe: str = ""
    packages: tuple[str, ...] = ()
    entries: Callable[[Path], tuple[ramdisk.Entry, ...]] = lambda _: ()
    min_ram: int = 128


def made_image(
    variant: Variant, cache: Path, shell: Shell, progress: Progress
) -> GuestImage:
    """Return a variant of the image, building it when missing; see `guest_image`."""
    place = _place(cache, variant)
    if not (place / "digest").exists():
        with locked(place.with_suffix(".lock")):
            if not (place / "digest").exists():
                with progress.step(variant.title):
                    _build(place, shell, variant)
    return GuestImage(
        name=variant.name,
        disk=place / "disk",
        disk_format="raw",
        kernel=place / "kernel",
        ramdisk=place / "ramdisk",
        properties=PROPERTIES,
        digest=(place / "digest").read_text(encoding="ascii"),
        min_ram=variant.min_ram,
    )


def _place(cache: Path, variant: Variant) -> Path:
    return cache / "guest" / f"{SUITE}-{ARCHITECTURE}-{_recipe(variant)}"


def _build(place: Path, shell: Shell, variant: Variant) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        work, root = Path(scratch), Path(scratch) / "root"
        packages = Packages(
            place=work / "apt", suite=SUITE, architecture=ARCHITECTURE, shell=shell
        )
        packages.update()
        kernel = packages.behind(f"linux-image-cloud-{ARCHITECTURE}")
        wanted = (kernel, "busybox-static", "dropbear-bin", *LIBRARIES)
        packages.unpack((*wanted, *variant.packages), root)
        release = kernel.removeprefix("linux-image-")
        made = work / "image"
        made.mkdir()
        shutil.copyfile(root / "boot" / f"vmlinuz-{release}", made / "kernel")
        entries = (*_entries(root, release), *variant.entries(root))
        (made / "ramdisk").write_bytes(ramdisk.archive(entries))
        (made / "disk").write_bytes(bytes(1024**2))
        _finish(made)
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)


def _entries(root: Path, release: str) -> tuple[ramdisk.Entry, ...]:
    lib = root / "usr/lib/x86_64-linux-gnu"
    programs = {
        "bin/busybox": root / "usr/bin/busybox",
        "usr/sbin/dropbear": root / "usr/sbin/dropbear",
        "bin/dropbearkey": root / "usr/bin/dropbearkey",
        "lib64/ld-linux-x86-64.so.2": lib / "ld-linux-x86-64.so.2",
        **{f"lib/{name}": lib / name for name in SHARED},
    }
    folders = ("dev", "proc", "sys", "run", "tmp", "mnt", "sbin", "var", "etc/dropbear")
    return (
        *(ramdisk.folder(path) for path in folders),
        ramdisk.folder("root", private=True),
        ramdisk.folder("root/.ssh", private=True),
        ramdisk.link("init", "bin/busybox"),
        ramdisk.link("bin/sh", "busybox"),
        *(
            ramdisk.file(path, source.read_bytes(), executable=True)
            for path, source in programs.items()
        ),
        *_modules(root / "usr/lib/modules" / release, f"lib/modules/{release}"),
        *_scripts(),
    )


def _modules(shipped: Path, target: str) -> tuple[ramdisk.Entry, ...]:
    available = {
        str(path.relative_to(shipped)): path.read_bytes()
        for path in shipped.rglob("*.ko*")
    }
    chosen = ramdisk.modules(available, MODULES)
    listing = ramdisk.modules_dep(chosen).encode()
    return (
        ramdisk.file(f"{target}/modules.dep", listing),
        *(ramdisk.file(f"{target}/{path}", data) for path, data in chosen.items()),
    )


def _scripts() -> tuple[ramdisk.Entry, ...]:
    """Return the files of `guest_root/`; the scripts among them are executable."""
    base = Path(__file__).parent / "guest_root"
    return tuple(
        ramdisk.file(
            str(path.relative_to(base)),
            data := path.read_bytes(),
            executable=data.startswith(b"#!"),
        )
        for path in sorted(base.rglob("*"))
        if path.is_file()
    )


def _recipe(variant: Variant) -> str:
    """Return a hash of all that decides what is built, but the packages' versions."""
    text = f"{RECIPE} {MODULES} {SHARED} {LIBRARIES}"
    if variant.name != NAME:
        text += f" {variant.name} {variant.packages} {variant.recipe}"
    total = hashlib.sha256(text.encode())
    for entry in _scripts():
        total.update(entry.path.encode() + entry.data)
    return total.hexdigest()[:12]


def _finish(made: Path) -> None:
    """Write the digest, last: its presence says that the image is whole."""
    total = hashlib.sha256(repr(sorted(PROPERTIES.items())).encode())
    for name in ("kernel", "ramdisk", "disk"):
        with (made / name).open("rb") as source:
            total.update(hashlib.file_digest(source, "sha256").digest())
            os.fsync(source.fileno())
    (made / "digest").write_text(total.hexdigest(), encoding="ascii")
