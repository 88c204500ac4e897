"""`enos init` against an OpenStack in this process, through the real openstacksdk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from enos.cloud import converge as converging
from enos.cloud import rest
from enos.cloud.converge import CloudFacts, converge, differences
from enos.cloud.guest import GuestImage
from enos.cloud.plan import CloudPlan, Kind, plan_cloud
from enos.cloud.rest import connect
from enos.errors import CloudError
from enos.testbed import Network, Testbed
from enos.testing import RecordingProgress
from enos.testing.openstack import PROJECT, FakeOpenStack

pytestmark = pytest.mark.usefixtures("processes")  # connections to localhost

EXTERNAL = Network(
    name="external",
    cidr="172.31.0.0/24",
    roles=("external",),
    gateway="172.31.0.1",
    pool=("172.31.0.100", "172.31.0.200"),
)
TESTBED = Testbed(provider="fake", hosts=(), networks=(EXTERNAL,))


@pytest.fixture
def cloud() -> Iterator[FakeOpenStack]:
    with FakeOpenStack() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converging, "PAUSE", 0.0)
    monkeypatch.setattr(rest, "PAUSE", 0.0)


@pytest.fixture
def image(tmp_path: Path) -> GuestImage:
    for name in ("disk", "kernel", "ramdisk"):
        (tmp_path / name).write_bytes(name.encode() * 3)
    return GuestImage(
        name="enos-guest",
        disk=tmp_path / "disk",
        disk_format="raw",
        kernel=tmp_path / "kernel",
        ramdisk=tmp_path / "ramdisk",
        properties={"hw_rng_model": "virtio"},
        digest="d1",
        min_ram=128,
    )


def run(
    cloud: FakeOpenStack,
    tmp_path: Path,
    plan: CloudPlan,
    progress: RecordingProgress | None = None,
) -> CloudFacts:
    there = connect(cloud.clouds_yaml(tmp_path))
    return converge(plan, there, progress or RecordingProgress())


def test_an_empty_cloud_gets_everything_planned(
    cloud: FakeOpenStack, tmp_path: Path, image: GuestImage
) -> None:
    facts = run(cloud, tmp_path, plan_cloud(TESTBED, (image,), public_key="ssh-x k"))

    networks = cloud.named("networks")
    assert networks["public"]["provider:physical_network"] == "physnet1"
    subnet = cloud.named("subnets")["public"]
    assert subnet["network_id"] == networks["public"]["id"]
    assert subnet["allocation_pools"] == [
        {"start": "172.31.0.100", "end": "172.31.0.200"}
    ]
    router = cloud.named("routers")["router"]
    assert router["external_gateway_info"] == {"network_id": networks["public"]["id"]}
    assert cloud.named("flavors")["m1.small"]["ram"] == 2048
    assert cloud.quotas["compute"]["cores"] == -1
    assert cloud.quotas["network"]["floatingip"] == -1
    assert cloud.named("keypairs")["enos"]["public_key"] == "ssh-x k"
    assert facts.project == PROJECT
    assert facts.ids[Kind.NETWORK, "private"] == networks["private"]["id"]


def test_the_disk_image_names_its_kernel_and_ramdisk(
    cloud: FakeOpenStack, tmp_path: Path, image: GuestImage
) -> None:
    facts = run(cloud, tmp_path, plan_cloud(TESTBED, (image,)))

    images = cloud.named("images")
    disk = images["enos-guest"]
    assert facts.images == {"enos-guest": disk["id"]}
    assert disk["kernel_id"] == images["enos-guest-kernel"]["id"]
    assert disk["ramdisk_id"] == images["enos-guest-ramdisk"]["id"]
    assert disk["hw_rng_model"] == "virtio"
    assert cloud.uploads[disk["kernel_id"]] == b"kernel" * 3


def test_rules_are_opened_in_the_default_group_of_the_project_only(
    cloud: FakeOpenStack, tmp_path: Path
) -> None:
    cloud.add("security_groups", {"name": "default", "project_id": "another"})

    run(cloud, tmp_path, plan_cloud(TESTBED, ()))

    own = next(
        group["id"]
        for group in cloud.records["security_groups"].values()
        if group["project_id"] == PROJECT
    )
    rules = cloud.records["security_group_rules"].values()
    assert {rule["security_group_id"] for rule in rules} == {own}
    assert {rule["protocol"] for rule in rules} == {"icmp", "tcp", "udp"}


def test_a_second_run_creates_nothing(
    cloud: FakeOpenStack, tmp_path: Path, image: GuestImage
) -> None:
    plan = plan_cloud(TESTBED, (image,), public_key="ssh-x k")
    first = run(cloud, tmp_path, plan)
    seen = len(cloud.requests)

    second = run(cloud, tmp_path, plan)

    assert second.created == ()
    assert second.ids == first.ids
    assert second.images == first.images
    later = cloud.requests[seen:]
    assert {line for line in later if not line.startswith("GET")} == {
        "POST /identity/v3/auth/tokens"
    }


def test_what_an_interrupted_run_made_is_kept_and_the_rest_added(
    cloud: FakeOpenStack, tmp_path: Path
) -> None:
    plan = plan_cloud(TESTBED, ())
    cloud.fail("POST", "/routers$", status=400, times=1)
    with pytest.raises(CloudError):
        run(cloud, tmp_path, plan)
    made = cloud.named("networks")["private"]["id"]

    facts = run(cloud, tmp_path, plan)

    assert facts.ids[Kind.NETWORK, "private"] == made
    assert "router `router`" in facts.created
    assert "network `private`" not in facts.created


def test_an_image_whose_upload_was_cut_short_is_uploaded_anew(
    cloud: FakeOpenStack, tmp_path: Path, image: GuestImage
) -> None:
    half = cloud.add(
        "images", {"name": "enos-guest", "status": "queued", "enos_digest": "d1"}
    )

    run(cloud, tmp_path, plan_cloud(TESTBED, (image,)))

    assert half["id"] not in cloud.records["images"]
    assert cloud.named("images")["enos-guest"]["status"] == "active"


def test_another_build_of_the_image_replaces_the_old_one(
    cloud: FakeOpenStack, tmp_path: Path, image: GuestImage
) -> None:
    old = cloud.add(
        "images", {"name": "enos-guest", "status": "active", "enos_digest": "d0"}
    )

    run(cloud, tmp_path, plan_cloud(TESTBED, (image,)))

    assert old["id"] not in cloud.records["images"]
    assert cloud.named("images")["enos-guest"]["enos_digest"] == "d1"


def test_an_image_of_the_user_with_the_same_name_is_left_alone(
    cloud: FakeOpenStack, tmp_path: Path, image: GuestImage
) -> None:
    theirs = cloud.add("images", {"name": "enos-guest", "status": "active"})

    run(cloud, tmp_path, plan_cloud(TESTBED, (image,)))

    assert theirs["id"] in cloud.records["images"]


def test_a_flavor_with_other_values_is_kept_and_told(
    cloud: FakeOpenStack, tmp_path: Path
) -> None:
    cloud.add("flavors", {"name": "m1.tiny", "ram": 1, "vcpus": 1, "disk": 1})
    progress = RecordingProgress()

    run(cloud, tmp_path, plan_cloud(TESTBED, ()), progress)

    assert cloud.named("flavors")["m1.tiny"]["ram"] == 1
    assert progress.warnings == ["flavor `m1.tiny` is there with another ram: kept"]


def test_a_changed_pool_reaches_an_existing_subnet(
    cloud: FakeOpenStack, tmp_path: Path
) -> None:
    run(cloud, tmp_path, plan_cloud(TESTBED, ()))

    run(cloud, tmp_path, plan_cloud(TESTBED, (), reserved=("172.31.0.100",)))

    pools = cloud.named("subnets")["public"]["allocation_pools"]
    assert pools == [{"start": "172.31.0.101", "end": "172.31.0.200"}]


def test_a_service_that_warms_up_is_asked_again(
    cloud: FakeOpenStack, tmp_path: Path
) -> None:
    cloud.fail("GET", "/flavors/detail", status=503, times=3)
    cloud.fail("POST", "/networks$", status=503, times=2)

    facts = run(cloud, tmp_path, plan_cloud(TESTBED, ()))

    assert "network `public`" in facts.created


def test_a_refusal_names_the_thing_and_the_words_of_the_service(
    cloud: FakeOpenStack, tmp_path: Path
) -> None:
    cloud.fail("POST", "/subnets$", status=400, times=1)

    with pytest.raises(CloudError) as caught:
        run(cloud, tmp_path, plan_cloud(TESTBED, ()))

    assert caught.value.message == (
        "subnet `public` cannot be created: the cloud refused POST network/subnets: "
        "as asked (HTTP 400)"
    )


def test_a_service_that_stays_down_ends_the_tries(
    cloud: FakeOpenStack, tmp_path: Path
) -> None:
    cloud.fail("GET", "/flavors/detail", status=503, times=1000)

    with pytest.raises(CloudError, match="503"):
        run(cloud, tmp_path, plan_cloud(TESTBED, ()))


def test_no_keystone_is_told_as_such(tmp_path: Path) -> None:
    with FakeOpenStack() as gone:
        path = gone.clouds_yaml(tmp_path)

    with pytest.raises(CloudError, match="did not answer authentication"):
        _ = connect(path).project


def test_a_missing_clouds_yaml_is_told_with_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(CloudError) as caught:
        connect(tmp_path / "clouds.yaml", "enos")

    assert "describes no cloud `enos`" in caught.value.message
    assert "enos os" in caught.value.hint


def test_a_found_record_may_say_more_than_is_wanted() -> None:
    found = {"gateway": {"network_id": "n", "enable_snat": True}, "name": "r"}

    assert differences({"gateway": {"network_id": "n"}}, found) == ()
    assert differences({"gateway": {"network_id": "m"}}, found) == ("gateway",)


def test_a_service_is_offered_when_the_catalogue_has_it(
    cloud: FakeOpenStack, tmp_path: Path
) -> None:
    there = connect(cloud.clouds_yaml(tmp_path))

    assert there.offers("compute")
    assert not there.offers("orchestration")
