"""Watching kolla-build, naming what failed, and having images."""

import json
from pathlib import Path

import pytest

from enos.errors import ImageError
from enos.images import build, host, internal, ready
from enos.images.daemon import Daemon
from enos.images.locks import load
from enos.testbed import Host
from enos.testing.recording import Answer, Call, RecordingProgress, RecordingShell
from enos.toolenvs import ToolEnvironments

LOCK = load("2026.1")
NAMES = ("cron", "nova-api")
LINES = """\
INFO:kolla.common.utils:Using engine: docker
INFO:kolla.common.utils.base:Building started at 2026-01-01 10:00:00.000000
INFO:kolla.common.utils.base:Step 1/9 : FROM debian:trixie
INFO:kolla.common.utils.base:Built at 2026-01-01 10:00:19.000000 (took 0:00:19)
INFO:kolla.common.utils.cron:Building started at 2026-01-01 10:00:20.000000
"""


def failing(*failed: tuple[str, str]) -> str:
    entries = [{"name": name, "status": status} for name, status in failed]
    return json.dumps({"built": [], "failed": entries}) + "\n"


def a_job(tmp_path: Path) -> build.Job:
    return build.Job(
        tools=tmp_path / "bin",
        configuration=tmp_path / "kolla-build.conf",
        logs=tmp_path / "logs",
        wanted=("cron",),
        total=2,
    )


def test_each_image_is_a_step_of_its_own(tmp_path: Path) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    built = "INFO:kolla.common.utils.cron:Built at 2026-01-01 10:00:21 (took 0:00:01)\n"
    shell.on("*kolla-build*", stdout=LINES + built)
    build.build(Daemon(shell=shell, host="unix:///d"), a_job(tmp_path), progress)
    assert [(step.title, step.outcome) for step in progress.steps] == [
        ("2 container images by kolla-build", "done"),
        ("image base", "done"),
        ("image cron", "done"),
    ]
    assert progress.steps[0].awaited[2] == "1/2, now cron"
    call = shell.calls[0]
    assert call.env["DOCKER_HOST"] == "unix:///d"
    assert call.argv[-1] == "^cron$"


def test_the_image_that_failed_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    summary = failing(("cron", "error"), ("nova-api", "parent_error"))
    shell.on("*kolla-build*", stdout=LINES + summary, returncode=1)
    job = a_job(tmp_path)
    job.logs.mkdir()
    log = "E: Unable to locate package cron\n\nUnknown container engine error\nTrace\n"
    (job.logs / "cron.log").write_text(log, encoding="utf-8")
    with pytest.raises(ImageError, match="the image `cron` cannot be") as error:
        build.build(Daemon(shell=shell), job, progress)
    assert error.value.details == "E: Unable to locate package cron"
    assert str(job.logs / "cron.log") in error.value.hint
    assert progress.steps[-1].outcome == "failed"


def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("*kolla-build*", stdout=failing(("cron", "error")), returncode=1)
    job = a_job(tmp_path)
    job.logs.mkdir()
    log = "dpkg: error: No space left on device\n"
    (job.logs / "cron.log").write_text(log, encoding="utf-8")
    with pytest.raises(ImageError) as error:
        build.build(Daemon(shell=shell), job, RecordingProgress())
    assert error.value.hint.startswith("free space")


def test_a_kolla_build_that_dies_at_once_is_shown(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("*kolla-build*", stdout="Traceback\nValueError: no\n", returncode=1)
    with pytest.raises(ImageError, match="before it built anything") as error:
        build.build(Daemon(shell=shell), a_job(tmp_path), RecordingProgress())
    assert "ValueError: no" in error.value.details


def test_images_spared_by_anothers_failure_are_not_blamed() -> None:
    line = failing(("a", "matched"), ("b", "connection_error"), ("c", "parent_error"))
    assert build.failed_images(["noise", line]) == ("b",)


def test_plug_in_sources_are_found_among_all(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("*SOURCES*", stdout="nova-base nova-base-plugin-blazar horizon\n")
    names = build.plugin_sources(Daemon(shell=shell), tmp_path)
    assert names == ("nova-base-plugin-blazar",)


def test_only_what_is_not_there_is_missing() -> None:
    images = ready.built_set(LOCK, NAMES, "x86_64")
    plan = ready.plan(images, {images.reference("cron"): "sha256:1"})
    assert plan.missing == ("nova-api",)
    assert plan.lines()[0].startswith("keep kolla/cron:2026.1-")
    assert plan.lines()[1].startswith("build kolla/nova-api:2026.1-")


def test_local_images_are_named_without_a_registry() -> None:
    images = ready.built_set(LOCK, NAMES, "x86_64")
    assert images.settings == {
        "kolla_base_distro": "debian",
        "docker_registry": "",
        "docker_namespace": "kolla",
        "openstack_tag": images.tag,
    }


def test_kollas_own_images_are_those_its_project_publishes() -> None:
    images = ready.kolla_set(LOCK, NAMES)
    reference = "quay.io/openstack.kolla/cron:2026.1-debian-trixie"
    assert images.reference("cron") == reference


def a_place(shell: RecordingShell, cache: Path) -> ready.Workplace:
    progress = RecordingProgress()
    tools = ToolEnvironments(cache=cache, shell=shell, progress=progress)
    daemon = Daemon(shell=shell)
    return ready.Workplace(daemon=daemon, tools=tools, cache=cache, progress=progress)


def test_nothing_is_done_when_all_images_are_there(tmp_path: Path) -> None:
    import platform

    shell = RecordingShell(strict=True)
    images = ready.built_set(LOCK, NAMES, platform.machine())
    listed = "".join(f"{images.reference(name)} sha256:{name}\n" for name in NAMES)
    shell.on("docker images*", stdout=listed + "<none>:<none> sha256:x\n")
    done = ready.ensure_images(a_place(shell, tmp_path), LOCK, NAMES)
    assert done.digests == {"cron": "sha256:cron", "nova-api": "sha256:nova-api"}


def test_the_base_image_is_copied_from_this_machine(tmp_path: Path) -> None:
    from enos.images.base import ensure_base

    shell, progress = RecordingShell(), RecordingProgress()

    def inspect(call: Call) -> Answer:
        return Answer(returncode=1 if "DOCKER_HOST" in call.env else 0)

    shell.script("docker image inspect debian:trixie", inspect)
    reach = host.Reach(certificates={})
    daemon = Daemon(shell=shell, host="unix:///builder")
    ensure_base(
        daemon,
        "debian:trixie",
        reach=reach,
        home=tmp_path,
        logs=tmp_path,
        progress=progress,
    )
    saved, loaded = shell.calls[-2:]
    assert saved.argv[:3] == ("docker", "save", "--output")
    assert loaded.argv[:3] == ("docker", "load", "--input")
    assert loaded.env == {"DOCKER_HOST": "unix:///builder"}


def test_without_debootstrap_the_way_out_is_told(tmp_path: Path) -> None:
    from enos.images.base import ensure_base

    shell = RecordingShell()
    shell.on("docker*", returncode=1)
    shell.on("unshare --mount debootstrap*", returncode=1, stderr="E: must be root")
    reach, daemon = host.Reach(certificates={}), Daemon(shell=shell)
    with pytest.raises(ImageError, match="neither be pulled nor bootstrapped") as error:
        ensure_base(
            daemon,
            "debian:trixie",
            reach=reach,
            home=tmp_path,
            logs=tmp_path,
            progress=RecordingProgress(),
        )
    assert "as root" in error.value.hint


def test_a_registry_is_installed_from_debian_and_allows_removal() -> None:
    steps = internal.packaged(5001)
    assert steps[1].argv[-1] == "docker-registry"
    assert "addr: :5001" in steps[2].stdin
    assert "delete:\n    enabled: true" in steps[2].stdin


def test_where_the_package_is_missing_a_container_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = iter((False, True))
    monkeypatch.setattr(internal, "answers", lambda _: next(said))
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("*docker-registry*", returncode=100, stderr="E: Unable to locate package")
    there = internal.ensure_registry(
        shell, Host(name="reg", address="10.0.0.2"), progress
    )
    assert there.url == "http://10.0.0.2:5000/v2"
    assert any("registry:2" in line for line in shell.lines)


def test_a_machine_that_can_run_no_registry_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(internal, "answers", lambda _: False)
    shell = RecordingShell()
    shell.on("ssh*", returncode=1, stderr="no")
    with pytest.raises(ImageError, match="`reg`"):
        internal.ensure_registry(
            shell, Host(name="reg", address="10.0.0.2"), RecordingProgress()
        )


def test_why_an_image_could_not_be_pulled_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "answers", lambda _: True)
    shell = RecordingShell()
    full = "write /var/lib/docker/tmp: no space left on device"
    shell.on("docker pull*", stderr=f"Using default tag\n{full}\n", returncode=1)
    place = a_place(shell, tmp_path)
    with pytest.raises(ImageError, match="not all images"):
        ready.ensure_images(place, LOCK, NAMES, source="pull")
    assert isinstance(place.progress, RecordingProgress)
    assert place.progress.decisions == [f"no cron, nova-api from quay.io: {full}"]


def test_a_registry_is_asked_from_here_until_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = iter((False, False, False, True))
    monkeypatch.setattr(internal, "answers", lambda _: next(said))
    monkeypatch.setattr("time.sleep", lambda _: None)
    shell = RecordingShell()
    there = internal.ensure_registry(
        shell, Host(name="reg", address="10.0.0.2"), RecordingProgress()
    )
    assert there.direct
    assert not any("curl" in line for line in shell.lines)
    assert next(said, None) is None
