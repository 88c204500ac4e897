import stat
import tarfile
from pathlib import Path

import pytest

from enos.cloud import agentguest, ramdisk
from enos.cloud.agentguest import agent_image
from enos.cloud.guest import Variant
from enos.errors import ImageError
from enos.testing import Answer, RecordingProgress, RecordingShell

LIBRARIES = "usr/lib/x86_64-linux-gnu"


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What Debian's packages leave when they are unpacked, and modules compiled."""
    folder = tmp_path / "root"
    put(
        folder,
        *("usr/bin/python3.13", "usr/bin/iperf3", "usr/bin/bash", "usr/bin/grep"),
        *(f"{LIBRARIES}/libc.so.6", f"{LIBRARIES}/libiperf.so.0.0.0"),
        *("usr/lib/python3.13/os.py", "usr/lib/python3.13/os.pyc"),
        "usr/lib/python3.13/test/test_os.pyc",
    )
    (folder / LIBRARIES / "libiperf.so.0").symlink_to("libiperf.so.0.0.0")
    return folder


@pytest.fixture
def variant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Variant, RecordingShell]:
    """The variant that would be built."""
    put(tmp_path / "site", "shaker/agent.pyc", "shaker/agent.py", "zmq/_zmq.so")
    archive = tmp_path / "agent.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("shaker", "zmq"):
            tar.add(tmp_path / "site" / name, arcname=name)
    taken: list[Variant] = []

    def take(variant: Variant, *_: object) -> None:
        taken.append(variant)

    monkeypatch.setattr(agentguest, "made_image", take)
    shell = RecordingShell()
    agent_image(archive, b"flent", tmp_path, shell, RecordingProgress())
    return taken[0], shell


def test_the_guest_gets_compiled_modules_and_what_templates_call(
    variant: tuple[Variant, RecordingShell], root: Path
) -> None:
    made, shell = variant

    entries = {entry.path: entry for entry in made.entries(root)}

    site = "usr/lib/python3/dist-packages"
    assert {f"{site}/shaker/agent.pyc", f"{site}/zmq/_zmq.so"} <= set(entries)
    assert not [path for path in entries if path.endswith(".py")]
    assert "usr/lib/python3.13/os.pyc" in entries
    assert "usr/lib/python3.13/test/test_os.pyc" not in entries
    assert entries[f"{LIBRARIES}/libiperf.so.0"].data == b"libiperf.so.0.0.0"
    assert stat.S_ISLNK(entries[f"{LIBRARIES}/libiperf.so.0"].mode)
    assert f"{LIBRARIES}/libc.so.6" not in entries, "the guest has it elsewhere"
    for name in ("shaker-agent", "screen", "flent", "iperf3"):
        assert entries[f"usr/bin/{name}"].mode & 0o111
    inittab = entries["etc/inittab"].data.decode()
    assert inittab.startswith("# busybox init")
    assert "respawn:/usr/bin/iperf3 -s" in inittab
    assert ramdisk.archive(tuple(entries.values()))
    compiling, trying = shell.lines
    assert "-m compileall" in compiling
    assert "from shaker.agent import agent" in trying


def test_modules_that_do_not_compile_are_an_image_error(
    variant: tuple[Variant, RecordingShell], root: Path
) -> None:
    made, shell = variant
    shell.script("*compileall*", Answer(stderr="Exec format error", returncode=126))

    with pytest.raises(ImageError, match="cannot be made here") as caught:
        made.entries(root)

    assert "shaker: image:" in caught.value.hint


def test_another_program_is_another_image(
    variant: tuple[Variant, RecordingShell],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, shell = variant
    taken: list[Variant] = []
    monkeypatch.setattr(agentguest, "made_image", lambda one, *_: taken.append(one))

    agent_image(
        tmp_path / "agent.tar.gz", b"other", tmp_path, shell, RecordingProgress()
    )

    assert taken[0].recipe != made.recipe
    assert taken[0].name == "enos-shaker"
