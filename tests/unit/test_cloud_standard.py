"""Which image guests boot when the experiment names none."""

import hashlib
from pathlib import Path

import pytest

from enos.cloud import debian, standard
from enos.cloud.standard import KEYRING, missing, prepare, standard_image
from enos.errors import ImageError
from enos.testing import RecordingProgress, RecordingShell

DATA = b"QFI\xfb and the rest"


@pytest.fixture
def keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with apt and without the archive's keyring, as Ubuntu is."""
    monkeypatch.setattr(debian, "KEYRINGS", ("/nowhere/keyring.gpg",))
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


@pytest.fixture
def cirros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    image = tmp_path / "cirros-0.6.3-x86_64-disk.img"
    image.write_bytes(DATA)
    monkeypatch.setattr(standard, "CIRROS", image.as_uri())
    checksum = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
    monkeypatch.setattr(standard, "CHECKSUM", checksum)
    return image


@pytest.mark.usefixtures("keyless")
def test_root_gets_the_keyring_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    shell, progress = RecordingShell(strict=True), RecordingProgress()
    shell.on("apt-get update -q")
    shell.on(f"apt-get install * {KEYRING}")
    prepare(shell, progress)
    assert len(shell.calls) == 2
    assert progress.decisions == [f"{KEYRING} is missing: install it by apt-get"]


@pytest.mark.usefixtures("keyless")
def test_a_keyring_that_cannot_be_installed_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("apt-get update*", returncode=100, stderr="no network")
    prepare(shell, progress)
    (warning,) = progress.warnings
    assert warning.startswith(f"{KEYRING} cannot be installed: ")


@pytest.mark.usefixtures("keyless")
def test_a_user_who_is_not_root_has_nothing_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    prepare(RecordingShell(strict=True), RecordingProgress())


def test_without_apt_nothing_is_installed_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert missing()[:3] == ("apt-get", "apt-cache", "dpkg-deb")
    prepare(RecordingShell(strict=True), RecordingProgress())


@pytest.mark.usefixtures("keyless")
def test_cirros_stands_in_where_no_image_can_be_built(
    tmp_path: Path, cirros: Path
) -> None:
    progress = RecordingProgress()
    found = standard_image(tmp_path / "cache", RecordingShell(strict=True), progress)
    assert (found.name, found.user) == (cirros.stem, "cirros")
    assert found.disk.read_bytes() == DATA
    assert progress.decisions == [
        f"guests boot CirrOS: enos's own image takes {KEYRING} to build"
    ]


@pytest.mark.usefixtures("keyless")
def test_an_image_that_was_built_before_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standard, "is_built", lambda _: True)
    built = object()
    monkeypatch.setattr(standard, "guest_image", lambda *_: built)
    assert standard_image(tmp_path, RecordingShell(), RecordingProgress()) is built


@pytest.mark.usefixtures("keyless")
def test_a_machine_that_can_have_neither_is_told_what_to_install(
    tmp_path: Path, cirros: Path
) -> None:
    cirros.unlink()
    with pytest.raises(ImageError, match="CirrOS cannot be had") as failed:
        standard_image(tmp_path / "cache", RecordingShell(), RecordingProgress())
    assert failed.value.hint == f"install {KEYRING}, or set `guest_image: url:`"
