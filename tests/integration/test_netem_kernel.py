"""Both back ends on Debian's own kernel, in a small machine under QEMU.

The machine is the kernel of `linux-image-cloud-amd64` with its modules, and a root made
of programs of this machine. It is emulated: KVM is not there everywhere.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(5400)]

HERE = Path(__file__).parent
TREE = HERE.parents[1]
PACKAGE = "linux-image-cloud-amd64"
# The machine's clock counts its own instructions, 2 ns each, and skips idle time, so
# that what it measures does not depend on what else this machine does.
CLOCK = ("-icount", "shift=1,sleep=off")
MODULES = (
    *("sch_netem", "sch_htb", "cls_u32", "veth", "bridge"),
    *("nf_tables", "nft_compat", "xt_NFQUEUE", "nfnetlink_queue"),
    *("xt_set", "ip_set_hash_ip"),
)
PROGRAMS = (
    *("sh", "cat", "mkdir", "rm", "sleep", "grep", "setsid", "timeout", "mount"),
    *("env", "ip", "tc", "iperf3", "nice", "flock", "nsenter", "unshare", "kill"),
    *("iptables", "ip6tables", "iptables-restore", "ip6tables-restore", "ipset"),
)
PLUGINS = ("xtables", "tc")  # folders of libraries: of iptables, of iproute2
TESTING = TREE / "enos" / "testing" / "__init__.py"  # imports what is not there
UNUSED = {"test", "tests", "site-packages", "idlelib", "ensurepip", "__pycache__"}
QUESTIONS = (
    *(f"delay={ms}ms" for ms in (1, 2, 5, 10, 25, 50, 100, 200)),
    *(f"loss={share}%" for share in (0.1, 1, 5, 10, 25)),
    *(f"rate={mbit}mbit" for mbit in (1, 10, 100, 500)),
    *("delay=20ms,jitter=5ms", "delay=20ms,jitter=5ms,distribution=normal"),
    *("delay=20ms,jitter=5ms,distribution=pareto", "loss=10%,loss_correlation=30%"),
    *("gemodel=2%/18%/80%", "delay=20ms,reorder=25%", "duplicate=10%", "corrupt=10%"),
    "delay=20ms,reorder=25%,reorder_correlation=50%",
    "delay=20ms,jitter=5ms,delay_correlation=60%",
    *(f"user-space:{one}" for one in ("delay=25ms", "loss=10%", "rate=10mbit")),
    "user-space:delay=20ms,jitter=5ms,distribution=normal",
    *(f"user-space:{one}" for one in ("duplicate=10%", "corrupt=10%")),
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the unpacked kernel package of this Debian."""
    folder = tmp_path_factory.mktemp("kernel")
    depends = output("apt-cache", "depends", PACKAGE)
    name = re.findall(r"Depends: (linux-image-\S+)", depends)[0]
    subprocess.run(("apt-get", "-q", "download", name), cwd=folder, check=True)
    (package,) = folder.glob("*.deb")
    subprocess.run(("dpkg-deb", "-x", package, folder / "root"), check=True)
    return folder / "root"


def output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def answers(
    kernel: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    image = tmp_path_factory.mktemp("image") / "root.cpio"
    image.write_bytes(b"".join(archive(root_files(kernel))))
    (vmlinuz,) = (kernel / "boot").glob("vmlinuz-*")
    said = output(
        *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", *CLOCK),
        *("-m", "1536", "-smp", "1", "-nographic", "-no-reboot", "-nic", "none"),
        *("-kernel", str(vmlinuz), "-initrd", str(image)),
        *("-append", "console=ttyS0 quiet loglevel=1 panic=-1 rdinit=/init"),
    )
    _, begun, rest = said.partition("-- begin --")
    assert begun, said[-3000:]
    inside, ended, _ = rest.partition("-- end --")
    assert ended, said[-3000:]
    lines = [line for line in inside.splitlines() if line.startswith("{")]
    if keep := os.environ.get("ENOS_NETEM_ANSWERS"):  # for the table in the docs
        Path(keep).write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert len(lines) == len(QUESTIONS), inside[-3000:]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("place", range(len(QUESTIONS)), ids=QUESTIONS)
def test_a_link_gives_what_was_asked(answers: list[dict[str, Any]], place: int) -> None:
    wanted, _, _ = QUESTIONS[place].rpartition(":")

    assert answers[place]["verdicts"]
    assert answers[place]["backend"] == (wanted or "netem")
    assert answers[place]["ok"], answers[place]


@dataclass(frozen=True)
class Entry:
    """A file of the machine's root: its content, or what it links to."""

    name: str
    content: bytes
    mode: int


def root_files(kernel: Path) -> Iterator[Entry]:
    """Yield the machine's root, folders before what is in them."""
    python = Path(sys.executable).resolve()
    stdlib = Path(sysconfig.get_path("stdlib"))
    found = {path: path for path in programs((str(python), *map(which, PROGRAMS)))}
    found |= {path: path for path in tree(stdlib)}
    source = [path for path in tree(TREE / "enos") if path != TESTING]
    found |= {"/enos" / path.relative_to(TREE): path for path in source}
    benchmark = Path("benchmarks/netem_accuracy.py")
    found["/enos" / benchmark] = TREE / benchmark
    found |= {path: path for path in plugins()}
    extensions = [path for path in found.values() if ".so" in path.name]
    found |= {path: path for path in libraries(extensions)}
    folders = {parent for path in found for parent in path.parents}
    folders |= {Path("/modules"), Path("/usr/bin")}
    for path in sorted(folders - {Path("/")}):
        yield Entry(name=str(path), content=b"", mode=0o40755)
    for path, source in found.items():
        yield Entry(name=str(path), content=source.read_bytes(), mode=0o100755)
    for name in ("bin", "sbin", "lib", "lib64"):
        yield Entry(name=f"/{name}", content=f"usr/{name}".encode(), mode=0o120777)
    yield Entry(name="/usr/bin/python3", content=str(python).encode(), mode=0o120777)
    yield Entry(name="/enos/enos/testing/__init__.py", content=b"", mode=0o100644)
    guest = (HERE / "netem_guest.py").read_bytes()
    yield Entry(name="/init", content=f"#!{python}\n".encode() + guest, mode=0o100755)
    yield Entry(name="/questions", content=" ".join(QUESTIONS).encode(), mode=0o100644)
    yield from modules(kernel)


def modules(kernel: Path) -> Iterator[Entry]:
    """Yield the modules and the order in which they load."""
    known = {path.stem: path for path in kernel.glob("lib/modules/*/kernel/**/*.ko")}
    order: list[str] = []

    def add(name: str) -> None:
        if name in order or name not in known:
            return
        needs = re.search(rb"\0depends=([^\0]*)", known[name].read_bytes())
        for need in needs[1].decode().split(",") if needs else ():
            add(need)
        order.append(name)

    for name in MODULES:
        assert name in known, f"{PACKAGE} has no module {name}"
        add(name)
    for name in order:
        content = known[name].read_bytes()
        yield Entry(name=f"/modules/{name}.ko", content=content, mode=0o100644)
    listed = "\n".join(f"{name}.ko" for name in order).encode()
    yield Entry(name="/modules/order", content=listed, mode=0o100644)


def which(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{program} is not installed"
    return found


def plugins() -> Iterator[Path]:
    """Yield what iptables and tc load by name: extensions, tables of distributions."""
    for name in PLUGINS:
        for folder in Path("/usr/lib").glob(f"*/{name}"):
            yield from (path for path in folder.iterdir() if path.is_file())


def programs(paths: Iterable[str]) -> set[Path]:
    several = {placed(Path(path)) for path in paths}
    return several | libraries(several)


def libraries(several: Iterable[Path]) -> set[Path]:
    """Return the shared libraries programs and libraries load, by their own names."""
    listed = subprocess.run(
        ("ldd", *several), check=False, capture_output=True, text=True
    ).stdout
    return {placed(Path(path)) for path in re.findall(r"(/\S+) \(0x", listed)}


def placed(path: Path) -> Path:
    """Return the path without links among its folders, since / is merged with /usr."""
    return path.parent.resolve() / path.name


def tree(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in UNUSED]
        yield from (Path(parent, name) for name in names if not name.endswith(".a"))


def archive(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield a cpio archive in the `newc` format (kernel: buffer-format.rst)."""
    trailer = Entry(name="TRAILER!!!", content=b"", mode=0)
    for number, entry in enumerate((*entries, trailer), start=1):
        name = entry.name.lstrip("/").encode() + b"\0"
        sizes = (len(entry.content), 0, 0, 0, 0, len(name), 0)
        fields = (number, entry.mode, 0, 0, 1, 0, *sizes)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        yield head + bytes(-len(head) % 4)
        yield entry.content + bytes(-len(entry.content) % 4)
