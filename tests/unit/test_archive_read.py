import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enos.archive import describe, plan_backup, verify, write
from enos.archive.manifest import NO_SUM
from enos.archive.names import fault
from enos.errors import ArchiveError
from enos.testing.recording import RecordingProgress, RecordingShell

TEXT = "".join(f"line {number}\n" for number in range(2000))


def archive(folder: Path, suffix: str = "tar") -> Path:
    """Return an archive of three files, the middle one large."""
    home = folder / "enos-demo"
    (home / "logs").mkdir(parents=True, exist_ok=True)
    (home / "experiment.yml").write_text("provider: static\n")
    (home / "logs" / "big.log").write_text(TEXT)
    (home / "state.json").write_text("{}\n")
    saved = folder / f"saved.{suffix}"
    plan = plan_backup(None, home)
    write(plan, saved, shell=RecordingShell(), progress=RecordingProgress())
    return saved


def rewritten(saved: Path, **changes: bytes | None) -> Path:
    """Return a copy of a plain tar in which members are replaced or, None, removed."""
    copy = saved.with_name("rewritten.tar")
    with tarfile.open(saved) as source, tarfile.open(copy, "w") as sink:
        for info in source:
            data = source.extractfile(info)
            assert data is not None
            text = changes.get(Path(info.name).stem, data.read())
            if text is not None:
                info.size = len(text)
                sink.addfile(info, io.BytesIO(text))
    return copy


def forged(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "forged.tar"
    with tarfile.open(path, "w") as sink:
        for info in members:
            sink.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_changed_byte_is_laid_to_the_member_it_is_in(tmp_path: Path) -> None:
    saved = archive(tmp_path)
    data = bytearray(saved.read_bytes())
    data[data.index(b"line 1000\n")] ^= 1
    saved.write_bytes(data)

    found = verify(saved)
    assert found.damaged == ("logs/big.log",)
    with pytest.raises(ArchiveError, match="1 damaged") as told:
        found.require()
    assert told.value.exit_code == 12
    assert told.value.details == "damaged: logs/big.log"


def test_what_is_missing_changed_or_added_is_named(tmp_path: Path) -> None:
    saved = archive(tmp_path)
    found = verify(rewritten(saved, big=None, state=b"{ }\n"))
    assert found.missing == ("logs/big.log",)
    assert found.damaged == ("state.json",)
    with tarfile.open(saved, "a") as more:
        more.addfile(member("enos-demo/new.txt"))
    assert verify(saved).extra == ("new.txt",)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst"])
def test_an_archive_cut_anywhere_is_refused(tmp_path: Path, suffix: str) -> None:
    saved = archive(tmp_path, suffix)
    whole = saved.read_bytes()
    end = len(whole) - (1024 if suffix == "tar" else 0)  # tar's padding may go
    cut = tmp_path / f"cut.{suffix}"
    for at in {*range(0, end, max(1, end // 60)), end - 1}:
        cut.write_bytes(whole[:at])
        with pytest.raises(ArchiveError) as refused:
            verify(cut)
        assert str(cut) in refused.value.message
        assert refused.value.hint


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.zst"])
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_damage_passes_for_the_original(
    tmp_path: Path, suffix: str, data: st.DataObject
) -> None:
    saved = tmp_path / f"saved.{suffix}"
    if not saved.exists():
        archive(tmp_path, suffix)
    original = verify(saved)
    raw = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    hurt = tmp_path / f"hurt.{suffix}"
    hurt.write_bytes(raw)
    try:
        found = verify(hurt)
    except ArchiveError:
        return
    assert found.manifest == original.manifest or not found.ok


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (member("/etc/passwd"), "absolute"),
        (member("enos-demo/../../x"), "climbs out"),
        (member("enos-demo/a/../b"), "climbs out"),
        (member("enos-demo/a\\..\\b"), "backslash"),
        (member("enos-demo/\x1b[31m"), "control characters"),
        (member("enos-demo"), "outside the top folder"),
        (member("enos-demo/a", tarfile.SYMTYPE, "/etc/passwd"), "not a regular file"),
        (member("enos-demo/a", tarfile.LNKTYPE, "x"), "not a regular file"),
        (member("enos-demo/a", tarfile.CHRTYPE), "not a regular file"),
        (member("enos-demo/a", tarfile.DIRTYPE), "not a regular file"),
    ],
)
def test_a_member_that_is_not_safe_to_extract_is_refused(
    tmp_path: Path, info: tarfile.TarInfo, why: str
) -> None:
    with pytest.raises(ArchiveError, match=why) as refused:
        verify(forged(tmp_path, info))
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("reader", [verify, describe])
def test_a_size_of_petabytes_does_not_keep_the_reader_busy(
    tmp_path: Path, reader: type
) -> None:
    info = member("a/x")
    info.size = 1 << 55
    path = tmp_path / "forged.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 10_000)
    with pytest.raises(ArchiveError, match="cut short in or after `x`"):
        reader(path)


def test_two_top_folders_and_two_members_of_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="another top folder"):
        verify(forged(tmp_path, member("a/x"), member("b/x")))
    with pytest.raises(ArchiveError, match="occurs twice"):
        verify(forged(tmp_path, member("a/x"), member("a/x")))


@pytest.mark.parametrize("reader", [verify, describe])
def test_what_is_no_archive_is_refused(tmp_path: Path, reader: type) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("hello\n" * 200)
    with pytest.raises(ArchiveError, match="is not an archive"):
        reader(other)
    other.write_bytes(b"")
    with pytest.raises(ArchiveError, match="is not an archive"):
        reader(other)
    with pytest.raises(ArchiveError, match="cannot be read: No such file"):
        reader(tmp_path / "gone.tar")
    with pytest.raises(ArchiveError, match="cannot be read: Is a directory"):
        reader(tmp_path)
    with pytest.raises(ArchiveError, match=r"ends without its `manifest\.json`"):
        reader(forged(tmp_path, member("a/x")))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "cannot be read: TypeError"),
        ("{", "cannot be read: JSONDecodeError"),
        ('{"format": "enos-archive", "version": 3}', "version 3, this enos reads"),
        ('{"format": "enos-archive", "version": "2"}', "version 2, this enos reads"),
        ('{"format": "enos-archive", "version": 1}', "cannot be read: KeyError"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    saved = archive(tmp_path)
    with pytest.raises(ArchiveError, match=why) as refused:
        verify(rewritten(saved, manifest=text.encode()))
    assert refused.value.hint


UNREACHABLE = {"name": "c1", "status": "unreachable", "missing": [], "reasons": []}
LOGS = {"path": "hosts/c1/logs/a.log", "reason": "it is a symbolic link", "host": "c1"}


def manifest_of(saved: Path) -> dict[str, object]:
    with tarfile.open(saved) as source:
        text = source.extractfile("enos-demo/manifest.json")
        assert text is not None
        plain: dict[str, object] = json.load(text)
    return plain


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("hosts", [UNREACHABLE]),
        ("withheld", [LOGS]),
        ("versions", {"enos": "1"}),
        ("created", "2020-01-01T00:00:00+00:00"),
        ("complete", False),
        ("version", 1),
    ],
)
@pytest.mark.parametrize("reader", [verify, describe])
def test_a_manifest_that_says_something_else_is_refused(
    tmp_path: Path, reader: type, key: str, told: object
) -> None:
    saved = archive(tmp_path)
    changed = json.dumps(manifest_of(saved) | {key: told}, indent=1) + "\n"

    with pytest.raises(ArchiveError, match="is not as it was written") as refused:
        reader(rewritten(saved, manifest=changed.encode()))

    assert refused.value.exit_code == 12
    assert "manifest.json" in refused.value.message


def test_an_archive_that_lost_the_sum_of_its_manifest_is_refused(
    tmp_path: Path,
) -> None:
    saved = archive(tmp_path)
    with pytest.raises(
        ArchiveError, match=r"ends without its `manifest\.json\.sha256`"
    ):
        verify(rewritten(saved, **{"manifest.json": None}))
    with pytest.raises(ArchiveError, match=r"`manifest\.json\.sha256` .* 1025 bytes"):
        verify(rewritten(saved, **{"manifest.json": b"0" * 1025}))


def test_an_archive_from_before_manifests_had_a_sum_is_read_and_told_of(
    tmp_path: Path,
) -> None:
    saved = archive(tmp_path)
    plain = manifest_of(saved)
    older = json.dumps(plain | {"version": 1}).encode()
    old = rewritten(saved, **{"manifest": older, "manifest.json": None})

    found = verify(old)

    assert found.ok
    assert not found.manifest.sealed
    assert found.manifest.members == verify(saved).manifest.members
    assert describe(old).notes == (NO_SUM,)
    assert describe(saved).notes == ()


def test_the_manifest_can_be_checked_with_sha256sum(tmp_path: Path) -> None:
    saved = archive(tmp_path)
    with tarfile.open(saved) as source:
        source.extractall(tmp_path / "there", filter="data")
        assert source.getnames()[-1] == "enos-demo/manifest.json.sha256"
    there = tmp_path / "there" / "enos-demo"
    told = (there / "manifest.json.sha256").read_text()
    digest = hashlib.sha256((there / "manifest.json").read_bytes()).hexdigest()
    assert told == f"{digest}  manifest.json\n"
    plain = json.loads((there / "manifest.json").read_text())
    assert plain["format"] == "enos-archive"
    assert plain["complete"] is True
    assert [one["path"] for one in plain["members"]] == [
        "experiment.yml",
        "logs/big.log",
        "state.json",
    ]
    assert all(len(one["sha256"]) == 64 for one in plain["members"])


@given(st.text())
def test_a_name_without_fault_stays_inside_its_folder(name: str) -> None:
    if not fault(name):
        inside = (Path("/a/b") / name).resolve()
        assert inside != Path("/a/b")
        assert Path("/a/b") in inside.parents
