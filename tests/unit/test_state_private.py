"""A folder for control sockets is this user's alone, or it is not used."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from enos.errors import StateError
from enos.state.private import make_private


@dataclass(frozen=True, slots=True)
class Owned:
    """What stat(2) says of a private folder of a user."""

    st_uid: int
    st_mode: int = stat.S_IFDIR | 0o700


def test_a_folder_is_made_for_its_user_alone_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "enos-1-ssh"

    make_private(folder, experiment=folder.parent)
    make_private(folder, experiment=folder.parent)

    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o701, 0o750, 0o777, 0o1777])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "enos-1-ssh"
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(StateError, match=f"its mode is {mode:o}") as refused:
        make_private(folder, experiment=folder.parent)

    assert str(folder) in refused.value.message
    assert "removed" in refused.value.hint


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, me = tmp_path / "enos-1-ssh", os.geteuid()
    make_private(folder, experiment=folder.parent)
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)  # whose directory it is not

    with pytest.raises(StateError, match=f"belongs to the user with the number {me}"):
        make_private(folder, experiment=folder.parent)


def test_root_uses_the_folder_of_the_experiments_owner_and_of_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, other = Owned(4711), Owned(4712)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "lstat", lambda _: owner)

    monkeypatch.setattr(Path, "stat", lambda _: owner)
    make_private(tmp_path, experiment=tmp_path)

    monkeypatch.setattr(Path, "stat", lambda _: other)
    with pytest.raises(StateError, match="belongs to the user with the number 4711"):
        make_private(tmp_path, experiment=tmp_path)


@pytest.mark.parametrize("kind", ["link", "file", "dangling"])
def test_what_leads_elsewhere_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "enos-1-ssh"
    if kind == "file":
        folder.write_text("")
    else:
        target = tmp_path / kind
        if kind == "link":
            target.mkdir(mode=0o700)
        folder.symlink_to(target)

    with pytest.raises(StateError, match="it is no folder"):
        make_private(folder, experiment=folder.parent)
