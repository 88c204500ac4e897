"""What kolla-build is given to read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from enos.errors import ConfigError, ImageError
from enos.images import host, locks, recipe
from enos.images.build import with_parents
from enos.images.sources import interpreted_by, target
from enos.testing import RecordingProgress, RecordingShell
from enos.toolenvs import LOCKS

Golden = Callable[[str, str], None]
RELEASES = ("2025.1", "2025.2", "2026.1")
PROJECTS = (
    *("keystone", "glance", "openstack-placement", "nova", "neutron"),
    *("openstack-heat", "osprofiler", "redis"),
)
FOLDERS = recipe.Folders(
    kit=Path("/cache/kolla/kit"), run=Path("/cache/kolla/run"), logs=Path("/cache/logs")
)

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TWO = CERTIFICATE + CERTIFICATE


def test_there_is_a_lock_for_each_release() -> None:
    assert locks.releases() == RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_a_lock_pins_the_projects_and_the_kolla_that_builds_them(release: str) -> None:
    lock = locks.load(release)
    pinned = {
        line.split("==")[0] for line in lock.services.splitlines() if "==" in line
    }
    assert set(PROJECTS) <= pinned
    tool = (LOCKS / f"{lock.tool}.txt").read_text(encoding="utf-8").splitlines()
    assert f"kolla=={lock.kolla}" in tool


@pytest.mark.parametrize("release", RELEASES)
def test_every_package_of_a_lock_has_hashes(release: str) -> None:
    lock = locks.load(release)
    for text in (lock.services, lock.toolbox):
        for entry in text.replace("\\\n", "").splitlines():
            assert entry.startswith("#") or "--hash=sha256:" in entry
    assert all(" --hash=sha256:" in some.requirement for some in lock.collections)


@pytest.mark.parametrize("release", RELEASES)
def test_open_vswitch_for_python_comes_from_debian(release: str) -> None:
    assert "\novs==" not in locks.load(release).services


def test_an_unknown_release_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"`1999\.9`") as refused:
        locks.load("1999.9")
    assert "`2026.1`" in refused.value.hint


def test_the_configuration_of_kolla_build(golden: Golden) -> None:
    lock = locks.load("2026.1")
    text = recipe.configuration(lock, "2026.1-abc", FOLDERS, ["nova-base-plugin-x"])
    golden("images/kolla-build.conf", text)


def test_the_overrides(golden: Golden) -> None:
    golden("images/overrides.j2", recipe.static_files()["overrides.j2"])


def test_the_tag_names_the_release_and_changes_with_any_version() -> None:
    lock = locks.load("2026.1")
    tag = recipe.identity(lock, "x86_64")
    assert tag.startswith("2026.1-")
    assert tag == recipe.identity(lock, "x86_64")
    assert tag != recipe.identity(replace(lock, services=""), "x86_64")
    assert tag != recipe.identity(replace(lock, kolla="22.2.1"), "x86_64")
    assert tag != recipe.identity(lock, "aarch64")


def test_the_toolbox_stands_on_rabbitmq() -> None:
    text = "FROM {{ namespace }}/{{ image_prefix }}base:{{ tag }}\n"
    assert "}}rabbitmq:{{" in recipe.adapt("kolla-toolbox", text)


def test_the_foreign_repository_is_cut_out_of_base() -> None:
    text = (
        "a\n{# install Debian Openstack repos - #}\n{% if x %}RUN y\n{% endif %}\nb\n"
    )
    assert recipe.adapt("base", text) == "a\n\nb\n"


@pytest.mark.parametrize("template", ["base", "kolla-toolbox", "openstack-base"])
def test_a_template_that_kolla_changed_is_not_built_by_guess(template: str) -> None:
    with pytest.raises(ImageError, match=f"`{template}`"):
        recipe.adapt(template, "FROM something else\n")


def test_a_template_without_changes_is_left_alone() -> None:
    assert recipe.adapt("cron", "FROM x\n") == "FROM x\n"


def test_images_beyond_debian_and_pypi_are_named() -> None:
    with pytest.raises(ImageError, match="`proxysql`, `horizon`"):
        recipe.refuse_unbuildable(["cron", "proxysql", "horizon"], "2026.1")


@pytest.mark.parametrize(
    ("release", "images"),
    [
        ("2025.1", ("redis", "redis-sentinel")),
        ("2026.1", ("valkey-server", "valkey-sentinel", "heat-api", "heat-engine")),
    ],
)
def test_each_release_has_images_for_trace_points_that_can_be_built(
    release: str, images: tuple[str, ...]
) -> None:
    recipe.refuse_unbuildable(images, release)


def test_what_the_debian_of_a_release_lacks_is_refused_for_that_release() -> None:
    with pytest.raises(ImageError, match="`valkey-server`"):
        recipe.refuse_unbuildable(["valkey-server"], "2025.2")
    with pytest.raises(ImageError, match="`heat-api`"):
        recipe.refuse_unbuildable(["heat-api"], "2025.1")


def test_programs_of_the_overlay_are_there() -> None:
    files = recipe.static_files()
    assert all(f"overlay/{name}" in files for name in recipe.EXECUTABLE)


def test_parents_come_before_children_and_the_overlay_wins(tmp_path: Path) -> None:
    start = "FROM {{ namespace }}/{{ image_prefix }}"
    for path, text in {
        "kolla/base": "FROM {{ base_image }}:x",
        "kolla/rabbitmq": f"{start}base:x",
        "kolla/toolbox": f"{start}base:x",
        "overlay/toolbox": f"{start}rabbitmq:x",
    }.items():
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "Dockerfile.j2").write_text(text, encoding="utf-8")
    line = with_parents(["toolbox"], tmp_path / "kolla", tmp_path / "overlay")
    assert line == ("base", "rabbitmq", "toolbox")


def test_packages_are_chosen_for_the_python_and_the_glibc_of_the_images() -> None:
    wanted = target(locks.load("2025.1"), "aarch64")
    assert (wanted.python, wanted.platform) == ("3.11", "aarch64-manylinux_2_36")


def test_a_script_with_a_long_interpreter_path_is_rewritten_too() -> None:
    script = "#!/bin/sh\n'''exec' \"/very long/python\" \"$0\" \"$@\"\n' '''\nmain()\n"
    assert interpreted_by(script, "/v/bin/python") == "#!/v/bin/python\nmain()\n"


def test_the_hosts_mirrors_are_used_first_named_first() -> None:
    indexes = (
        "http://first/debian/ bookworm Debian\n"
        "http://first/debian/ bookworm-updates Debian\n"
        "http://second/debian/ bookworm Debian\n"
        "http://safe/security/ bookworm-security Debian\n"
        "https://elsewhere/ nodistro Node\n"
        "file:/srv/mirror bookworm Debian\n"
    )
    assert host.mirrors(indexes) == ("http://first/debian", "http://safe/security")


def test_a_host_without_apt_uses_the_public_mirror() -> None:
    assert host.mirrors("") == (host.ARCHIVE, host.SECURITY)


def test_mirrors_and_certificates_go_into_the_base_image(golden: Golden) -> None:
    reach = host.Reach(archive="http://m/debian", certificates={"corp.crt": "PEM\n"})
    files = host.files(reach, "trixie")
    assert files["usr/local/share/ca-certificates/corp.crt"] == "PEM\n"
    golden("images/debian.sources", files["etc/apt/sources.list.d/debian.sources"])


def test_proxies_reach_the_build_in_both_spellings() -> None:
    reach = host.Reach(certificates={}, apt_proxy="http://apt:3142")
    found = host.environment(reach, {"HTTPS_PROXY": "http://p:1"})
    assert found == {
        "https_proxy": "http://p:1",
        "HTTPS_PROXY": "http://p:1",
        "http_proxy": "http://apt:3142",
        "HTTP_PROXY": "http://apt:3142",
    }


def test_certificates_in_folders_keep_distinct_names(tmp_path: Path) -> None:
    (tmp_path / "corp").mkdir()
    (tmp_path / "corp" / "ca.crt").write_bytes(CERTIFICATE + b"# A\n")
    (tmp_path / "ca.crt").write_bytes(CERTIFICATE)
    found, strange = host.certificates(tmp_path)
    plain = CERTIFICATE.decode()
    assert found == {"ca.crt": plain, "corp-ca.crt": f"{plain}# A\n"}
    assert strange == ()


def test_comments_in_any_encoding_do_not_keep_a_certificate_out(tmp_path: Path) -> None:
    (tmp_path / "utf8.crt").write_bytes("# Autorité\n".encode() + CERTIFICATE)
    (tmp_path / "latin1.crt").write_bytes("# Autorité\r\n".encode("latin-1") + TWO)
    found, strange = host.certificates(tmp_path)
    assert found == {"utf8.crt": CERTIFICATE.decode(), "latin1.crt": TWO.decode()}
    assert strange == ()


def test_a_file_without_a_certificate_in_text_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "der.crt").write_bytes(b"\x30\x82\x03\xe9\x30")
    (tmp_path / "empty.crt").write_bytes(b"")
    monkeypatch.setattr(host, "CERTIFICATES", tmp_path)
    progress = RecordingProgress()
    assert host.look(RecordingShell(), progress).certificates == {}
    assert [warning.split("`")[1] for warning in progress.warnings] == [
        str(tmp_path / "der.crt"),
        str(tmp_path / "empty.crt"),
    ]
