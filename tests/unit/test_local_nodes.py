import json
import time
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from enos_local import container, image, layout, networks, nodes, store
from enos_local.settings import Settings
from enos_local.store import Store

from enos.demand import Demand, MachineDemand
from enos.errors import CapabilityError, ImageError, ProcessError, ProviderError
from enos.testbed import Host
from enos.testing import Answer, Call, RecordedStep, RecordingProgress, RecordingShell

POOL = IPv4Network("172.28.0.0/22")


def network(subnet: str, **labels: str) -> dict[str, object]:
    dotted = {name.replace("_", "."): value for name, value in labels.items()}
    return {"Labels": dotted, "IPAM": {"Config": [{"Subnet": subnet}]}}


def docker_with(*found: dict[str, object], routes: str = "[]") -> RecordingShell:
    shell = RecordingShell()
    shell.on("docker network inspect*", stdout=json.dumps(found))
    shell.on("ip -json *", stdout=routes)
    return shell


def test_networks_avoid_those_of_docker_and_the_host() -> None:
    routes = json.dumps([{"dst": "default"}, {"dst": "172.28.1.7"}])
    shell = docker_with(network("172.28.0.0/24"), routes=routes)
    with pytest.raises(ProviderError, match="no /24 network is free"):
        networks.ensure(shell, "enos-1", POOL)
    made = [argv for argv in shell.argvs if argv[:3] == ("docker", "network", "create")]
    assert [argv[argv.index("--subnet") + 1] for argv in made] == [
        "172.28.2.0/24",
        "172.28.3.0/24",
    ]


def test_networks_of_the_session_are_found_again() -> None:
    ours = [
        network(f"172.28.{n}.0/24", enos_session="enos-1", enos_network=name)
        for n, name in enumerate(layout.NETWORKS)
    ]
    shell = docker_with(*ours)
    wires = networks.ensure(shell, "enos-1", POOL)
    assert [str(wire.cidr) for wire in wires][2] == "172.28.2.0/24"
    assert not [line for line in shell.lines if "create" in line]


def test_a_subnet_somebody_takes_meanwhile_is_passed_over() -> None:
    shell = docker_with()
    overlap = Answer(stderr="Pool overlaps with other one", returncode=1)
    shell.script("docker network create *", overlap, Answer())
    wires = networks.ensure(shell, "enos-1", POOL)
    assert [str(wire.cidr) for wire in wires] == [
        "172.28.1.0/24",
        "172.28.2.0/24",
        "172.28.3.0/24",
    ]


def test_docker_refusing_a_network_is_told_in_its_words() -> None:
    shell = docker_with()
    shell.on("docker network create *", stderr="no more bridges", returncode=1)
    with pytest.raises(ProviderError) as caught:
        networks.ensure(shell, "enos-1", POOL)
    assert caught.value.details == "no more bridges"


def test_release_removes_by_label_and_nothing_else() -> None:
    shell = RecordingShell()
    shell.on("docker ps *", stdout="c1\nc2\n")
    shell.on("docker volume ls *", stdout="v1\n")
    progress = RecordingProgress()
    nodes.release(shell, progress, "enos-1")
    listings = [line for line in shell.lines if " ls " in line or " ps " in line]
    assert len(listings) == 3
    assert all("--filter label=enos.session=enos-1" in line for line in listings)
    assert [line for line in shell.lines if line not in listings] == [
        "docker rm --force --volumes c1 c2",
        "docker volume rm --force v1",
    ]


def test_release_cannot_do_without_the_daemon_that_holds_the_nodes() -> None:
    shell = RecordingShell()
    shell.on("docker ps *", stderr="Cannot connect", returncode=1)
    with pytest.raises(CapabilityError) as caught:
        nodes.release(shell, RecordingProgress(), "enos-1")
    assert "systemctl start docker" in caught.value.hint


def test_release_of_nothing_says_so() -> None:
    progress = RecordingProgress()
    nodes.release(RecordingShell(), progress, "enos-1")
    assert progress.steps[0].skips == ["nothing is left"]


def key_maker(call: Call) -> Answer:
    path = Path(call.argv[-1])
    path.write_text("private")
    path.with_suffix(".pub").write_text("public")
    return Answer()


def test_a_key_is_made_once_and_again_when_half_of_it_is_missing(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    shell.script("ssh-keygen *", key_maker)
    (tmp_path / "fresh").write_text("from a killed run")
    key = nodes.ensure_key(shell, tmp_path)
    assert nodes.ensure_key(shell, tmp_path) == key
    assert len(shell.calls) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "id_ed25519",
        "id_ed25519.pub",
    ]
    key.with_suffix(".pub").unlink()
    nodes.ensure_key(shell, tmp_path)
    assert len(shell.calls) == 2


def test_the_docker_of_a_node_takes_registries_without_tls() -> None:
    conf = json.loads(container.daemon_json(registries=["172.28.0.0/14"]))
    assert conf["insecure-registries"] == ["172.28.0.0/14"]
    assert conf["storage-driver"] == "overlay2"
    assert conf["live-restore"] is False


def test_the_kernel_is_probed_in_a_namespace_of_the_first_node() -> None:
    machine = MachineDemand(group="grp1", roles=("control",))
    wanted = layout.nodes("enos-1", Demand(machines=(machine,)), {})
    shell = RecordingShell()
    shell.on("docker exec *", stdout="netem=no\nnoise\nnfqueue=yes\n")
    assert nodes.probe_kernel(shell, wanted) == {"netem": "no", "nfqueue": "yes"}
    assert shell.argvs[0][:5] == (
        *("docker", "exec", "enos-1-control-1", "unshare", "--net"),
    )


def step() -> RecordedStep:
    return RecordedStep("node image")


def test_the_node_image_changes_with_any_file_and_with_its_base() -> None:
    context = image.build_context(RecordingShell())
    assert "Dockerfile" in context
    assert "rootfs/usr/lib/enos/entry" in context
    assert "host/etc/apt/sources.list.d/debian.sources" in context
    tags = {
        image.content_hash(context, "sha256:1"),
        image.content_hash(context, "sha256:2"),
        image.content_hash({**context, "Dockerfile": "FROM x"}, "sha256:1"),
    }
    assert len(tags) == 3


def test_a_node_image_that_is_there_is_not_built(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("docker image inspect --format*", stdout="sha256:1\n")
    seen = step()
    tag = image.ensure(shell, RecordingProgress(), seen, tmp_path)
    assert seen.skips == [f"{tag} is there"]
    assert not [line for line in shell.lines if line.startswith("docker build")]


def test_a_new_node_image_takes_the_place_of_older_ones(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("docker image inspect *", returncode=1)
    shell.on("docker image inspect --format*", stdout="sha256:1\n")
    shell.on("docker images *", stdout="enos-node:old\n")
    tag = image.ensure(shell, RecordingProgress(), step(), tmp_path)
    build, _, forget = shell.lines[-3:]
    assert build.startswith(f"docker build --network host --tag {tag} ")
    assert forget == "docker rmi enos-node:old"


def test_a_build_that_fails_names_its_log(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("docker image inspect *", returncode=1)
    shell.on("docker image inspect --format*", stdout="sha256:1\n")
    shell.on("docker build *", stdout="E: Unable to fetch", returncode=100)
    with pytest.raises(ImageError) as caught:
        image.ensure(shell, RecordingProgress(), step(), tmp_path)
    assert "node-image.log" in caught.value.message
    assert caught.value.details == "E: Unable to fetch"
    assert [p.name for p in tmp_path.iterdir()] == ["node-image.lock"]


BASE_ID = "docker image inspect --format*"


def base(shell: RecordingShell, tmp_path: Path, answers: Callable[[str], bool]) -> str:
    return image.ensure_base(shell, RecordingProgress(), step(), tmp_path, answers)


def test_the_base_is_pulled_where_the_hub_answers(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.script(BASE_ID, Answer(returncode=1), Answer(stdout="sha256:9\n"))
    assert base(shell, tmp_path, lambda _: True) == "sha256:9"
    assert ("docker", "pull", "--quiet", "debian:trixie") in shell.argvs


def test_the_base_is_bootstrapped_where_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    shell = RecordingShell()
    shell.script(BASE_ID, Answer(returncode=1), Answer(stdout="sha256:9\n"))
    assert base(shell, tmp_path, lambda _: False) == "sha256:9"
    programs = [argv[0] for argv in shell.argvs]
    assert programs == [
        "docker",
        "debootstrap",
        "unshare",
        "tar",
        "docker",
        "docker",
    ]
    assert list(tmp_path.iterdir()) == []


def test_without_root_and_hub_there_is_no_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    shell = RecordingShell()
    shell.on(BASE_ID, returncode=1)
    with pytest.raises(CapabilityError, match="Docker Hub does not answer"):
        base(shell, tmp_path, lambda _: False)


def a_store(tmp_path: Path, shell: RecordingShell) -> Store:
    return store.open_store(shell, RecordingProgress(), tmp_path)


def test_the_store_is_mounted_read_only_in_nodes(tmp_path: Path) -> None:
    kept = a_store(tmp_path, RecordingShell())
    _, mount = kept.mount()
    assert mount == f"type=bind,src={tmp_path}/images,dst=/enos/store,readonly"
    assert "readonly" not in kept.mount(writable=True)[1]


def test_a_cache_that_cannot_hold_layers_makes_way_for_a_volume(tmp_path: Path) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    shell.on("stat *", stdout="overlayfs\n")
    kept = store.open_store(shell, progress, tmp_path)
    assert f"type=volume,src={kept.volume}," in kept.mount()[1]
    assert kept.volume.startswith("enos-images-")
    assert len(progress.decisions) == 1


def test_a_socket_path_longer_than_unix_allows_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with pytest.raises(CapabilityError, match="longer than a socket"):
        store.open_store(RecordingShell(), RecordingProgress(), deep)


def test_nothing_is_settled_where_no_builder_was_killed(tmp_path: Path) -> None:
    shell = RecordingShell()
    kept = a_store(tmp_path, shell)
    shell.calls.clear()
    store.settle(shell, RecordingProgress(), kept, "enos-node:1")
    assert shell.calls == []


def test_what_a_killed_builder_left_is_stopped_and_published(tmp_path: Path) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    kept = a_store(tmp_path, shell)
    kept.dirty.touch()
    shell.calls.clear()
    store.settle(shell, progress, kept, "enos-node:1")
    assert [argv[1] for argv in shell.argvs] == ["exec", "rm", "ps", "run"]
    assert shell.argvs[-1][-1] == "--sweep"
    assert len(progress.decisions) == 1
    assert not kept.dirty.exists()


def test_layers_are_not_swept_while_a_node_lives(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("docker ps *", stdout="c1\n")
    kept = a_store(tmp_path, shell)
    kept.dirty.touch()
    store.settle(shell, RecordingProgress(), kept, "enos-node:1")
    assert shell.argvs[-1][-1] == store.INSIDE


def test_images_are_published_also_when_their_build_failed(tmp_path: Path) -> None:
    shell = RecordingShell()
    kept = a_store(tmp_path, shell)

    def started(call: Call) -> Answer:
        assert kept.dirty.exists()
        (kept.sockets / "docker.sock").touch()
        return Answer(stdout=call.argv[-1])

    shell.script("docker start *", started)
    block = store.builder(
        shell, kept, image="enos-node:1", flags=("--privileged",), environment={}
    )
    with pytest.raises(ImageError, match=r"docker\.sock: no such"), block as host:
        raise ImageError(f"{host}: no such package")
    assert "publish-images" in shell.lines[-1]
    assert not kept.dirty.exists()


def test_this_machines_end_of_external_sends_whole_checksums() -> None:
    shell = RecordingShell()
    shell.on("docker network inspect *", stdout="0123456789abcdef0123\n")

    assert networks.fill_in_checksums(shell, "enos-1", "enos-node:1")

    last = shell.lines[-1]
    assert "--network host --cap-add NET_ADMIN --entrypoint ethtool" in last
    assert last.endswith("enos-node:1 -K br-0123456789ab tx off")


@pytest.mark.parametrize("what", ["systemd", "Docker", "sshd"])
def test_a_node_that_hangs_is_given_up_when_its_time_is_up(
    what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def hangs(call: Call) -> Answer:
        assert call.timeout is not None
        time.sleep(call.timeout)
        raise ProcessError("it did not end in time", argv=call.argv)

    monkeypatch.setattr(nodes, "READY_SECONDS", 0.3)
    shell = RecordingShell()
    shell.on("docker exec * systemctl *", stdout="running\n")
    shell.on("docker inspect *", stdout="true\n")
    shell.on("docker logs *", stdout="what it said\n")
    commands = {"systemd": "*is-system-running*", "Docker": "*version", "sshd": "ssh *"}
    shell.script(commands[what], hangs)
    machine = MachineDemand(group="grp1", roles=("control",))
    (node,) = layout.nodes("enos-1", Demand(machines=(machine,)), {})
    site = nodes.Site(
        session="enos-1",
        shell=shell,
        progress=RecordingProgress(),
        directory=tmp_path,
        settings=Settings(),
        image="enos-node:1",
        flags=(),
    )
    began = time.monotonic()

    with pytest.raises(ProviderError, match=f"{what} does not answer") as caught:
        nodes._await(site, node, Host(name="control-1", address="10.0.0.2"), step())

    assert time.monotonic() - began >= 0.3
    assert caught.value.details == "what it said"
    asked = [call.timeout for call in shell.calls if call.timeout is not None]
    assert all(0 < timeout <= 0.3 for timeout in asked)
