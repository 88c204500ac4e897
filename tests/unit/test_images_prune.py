from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from enos.images import prune
from enos.images.daemon import Daemon
from enos.images.prune import Stored, plan_prune
from enos.images.ready import Workplace
from enos.testing import Answer, RecordingProgress, RecordingShell
from enos.toolenvs import ToolEnvironments

OLD, MID, NEW = (f"2026.1-{letter * 12}" for letter in "abc")
OTHER = f"2025.2-{'d' * 12}"
LISTED = f"""\
kolla/nova-api {NEW} 2026-11-21 16:36:30 +0000 UTC
kolla/nova-api {OLD} 2026-11-19 10:00:00 +0000 UTC
kolla/cron {OLD} 2026-11-19 09:00:00 +0000 UTC
kolla/cron {OTHER} 2026-11-01 09:00:00 +0000 UTC
kolla/cron 2026.1-debian-trixie 2026-10-01 09:00:00 +0000 UTC
kolla/cron <none> 2026-10-01 09:00:00 +0000 UTC
"""
IDENTITY = st.builds(
    "{}-{}".format,
    st.sampled_from(["2025.1", "2026.1"]),
    st.text("0123456789abcdef", min_size=12, max_size=12),
)


def stored(tag: str, created: str, name: str = "kolla/cron") -> Stored:
    return Stored(name=name, tag=tag, created=created)


def workplace(tmp_path: Path, shell: RecordingShell) -> Workplace:
    progress = RecordingProgress()
    return Workplace(
        daemon=Daemon(shell=shell, host="unix:///store.sock"),
        tools=ToolEnvironments(cache=tmp_path, shell=shell, progress=progress),
        cache=tmp_path,
        progress=progress,
    )


def test_used_current_and_newest_images_stay() -> None:
    images = [stored(OLD, "1"), stored(MID, "2"), stored(NEW, "3"), stored(OTHER, "0")]

    plan = plan_prune(images)
    assert plan.images == (f"kolla/cron:{OLD}", f"kolla/cron:{MID}")
    assert plan.kept == {NEW: "newest of 2026.1", OTHER: "newest of 2025.2"}

    plan = plan_prune(images, used=[OLD], current=[MID])
    assert plan.images == ()
    assert plan.kept == {
        OLD: "an experiment has machines with it",
        MID: "what this enos builds",
        NEW: "newest of 2026.1",
        OTHER: "newest of 2025.2",
    }


@given(
    st.lists(st.builds(stored, IDENTITY, st.text("0123456789", min_size=4))),
    st.sets(IDENTITY),
)
def test_each_tag_stays_or_goes_as_a_whole_and_each_release_keeps_one(
    images: list[Stored], used: set[str]
) -> None:
    plan = plan_prune(images, used=used)

    assert set(plan.tags) | set(plan.kept) == {one.tag for one in images}
    assert not set(plan.tags) & set(plan.kept)
    assert not set(plan.tags) & used
    assert {tag[:6] for tag in plan.kept} == {one.tag[:6] for one in images}
    assert [one.reference for one in images if one.tag in plan.tags] == [*plan.images]


def test_only_images_under_the_tag_of_a_recipe_are_looked_at() -> None:
    shell = RecordingShell()
    shell.on("docker images *", stdout=LISTED)

    found = prune.stored(Daemon(shell=shell))

    assert [one.tag for one in found] == [NEW, OLD, OLD, OTHER]


def test_images_go_with_their_sources_and_those_in_use_are_named(
    tmp_path: Path,
) -> None:
    for tag in (OLD, NEW):
        (tmp_path / "kolla" / tag).mkdir(parents=True)
    shell = RecordingShell()
    left = f"kolla/cron {OLD} 2026-11-19\nkolla/nova-api {NEW} 2026-11-21\n"
    shell.script("docker images *", Answer(stdout=LISTED), Answer(stdout=left))
    shell.on("docker rmi *", returncode=1, stderr="conflict: in use")
    place = workplace(tmp_path, shell)
    plan = plan_prune(prune.stored(place.daemon))

    in_use = prune.prune(place, plan)

    assert in_use == (f"kolla/cron:{OLD}",)
    (removal,) = [call for call in shell.calls if call.argv[1] == "rmi"]
    assert removal.argv[2:] == (f"kolla/nova-api:{OLD}", f"kolla/cron:{OLD}")
    assert removal.env == {"DOCKER_HOST": "unix:///store.sock"}
    assert not (tmp_path / "kolla" / OLD).exists()
    assert (tmp_path / "kolla" / NEW).exists()


def test_with_nothing_to_remove_nothing_is_run(tmp_path: Path) -> None:
    shell = RecordingShell()

    assert prune.prune(workplace(tmp_path, shell), plan_prune([stored(NEW, "1")])) == ()
    assert shell.calls == []
