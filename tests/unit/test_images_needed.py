"""Which services need which images."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.images.needed import TABLE, needed
from enos.images.recipe import BUILDABLE

CORE = {
    "enable_mariadb": "true",
    "enable_memcached": "yes",
    "enable_rabbitmq": "yes",
    "enable_keystone": "True",
    "enable_glance": "yes",
    "enable_placement": "yes",
    "enable_nova": "yes",
    "enable_nova_libvirt_container": "True",
    "enable_nova_ssh": "yes",
    "nova_console": "none",
    "enable_neutron": "yes",
    "neutron_plugin_agent": "openvswitch",
    "enable_openvswitch": "yes",
}


def asked(**changes: str) -> tuple[str, ...]:
    values = {**CORE, **changes}
    return needed(lambda name: values.get(name, "no"))


def test_the_core_of_openstack_needs_these_images() -> None:
    assert asked() == (
        "kolla-toolbox",
        "cron",
        "mariadb-server",
        "memcached",
        "rabbitmq",
        "keystone",
        "keystone-fernet",
        "keystone-ssh",
        "glance-api",
        "placement-api",
        "nova-api",
        "nova-scheduler",
        "nova-conductor",
        "nova-compute",
        "nova-libvirt",
        "nova-ssh",
        "neutron-server",
        "neutron-metadata-agent",
        "neutron-openvswitch-agent",
        "neutron-dhcp-agent",
        "neutron-l3-agent",
        "openvswitch-db-server",
        "openvswitch-vswitchd",
    )


def test_the_core_can_be_built() -> None:
    assert set(asked(nova_console="novnc")) <= BUILDABLE


def test_without_libvirt_no_libvirt_image_is_needed() -> None:
    assert "nova-libvirt" not in asked(enable_nova_libvirt_container="False")


@pytest.mark.parametrize(
    ("console", "image"),
    [("novnc", "nova-novncproxy"), ("spice", "nova-spicehtml5proxy")],
)
def test_each_console_has_its_proxy(console: str, image: str) -> None:
    assert image in asked(nova_console=console)
    assert image not in asked()


def test_ovn_replaces_the_agents() -> None:
    images = asked(neutron_plugin_agent="ovn")
    assert "ovn-northd" in images
    assert "neutron-l3-agent" not in images


def test_dpdk_needs_no_plain_open_vswitch() -> None:
    assert "openvswitch-vswitchd" not in asked(enable_ovs_dpdk="yes")


def test_what_a_release_does_not_know_of_is_not_needed() -> None:
    unknown = {"enable_redis": None, "enable_valkey": "yes"}
    images = needed(lambda name: unknown.get(name, "no"))
    assert "redis" not in images
    assert "valkey-sentinel" in images


def test_what_only_ansible_could_tell_counts_as_on() -> None:
    images = needed(lambda _: None)
    assert "fluentd" in images
    assert "openvswitch-vswitchd" in images


@given(st.dictionaries(st.sampled_from(sorted(CORE)), st.sampled_from(["yes", "no"])))
def test_switching_a_service_on_never_takes_an_image_away(some: dict[str, str]) -> None:
    on = {**some, "enable_horizon": "yes"}
    fewer = needed(lambda name: some.get(name, "no"))
    assert set(fewer) <= set(needed(lambda name: on.get(name, "no")))


def test_the_table_names_each_image_once() -> None:
    images = [image for row in TABLE for image in row.images]
    assert len(images) == len(set(images))


def test_a_name_in_the_table_is_a_name_and_not_a_path() -> None:
    assert all(Path(image).name == image for row in TABLE for image in row.images)
