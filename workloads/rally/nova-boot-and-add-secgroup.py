"""The scenario of `nova-boot-and-add-secgroup.yml`.

Rally had it for nova-network's security groups and dropped it with them; this one
makes Neutron's.
"""

from rally.task import types, validation
from rally_openstack.common import consts
from rally_openstack.task import scenario
from rally_openstack.task.scenarios.nova import utils


@types.convert(image={"type": "glance_image"}, flavor={"type": "nova_flavor"})
@validation.add("image_valid_on_flavor", flavor_param="flavor", image_param="image")
@validation.add(
    "required_services", services=[consts.Service.NOVA, consts.Service.NEUTRON]
)
@validation.add("required_platform", platform="openstack", users=True)
@validation.add("required_contexts", contexts=["network"])
@scenario.configure(
    context={"cleanup@openstack": ["nova", "neutron.security_group"]},
    name="EnosServers.boot_and_add_secgroups",
    platform="openstack",
)
class BootAndAddSecurityGroups(utils.NovaScenario):
    def run(
        self,
        image,
        flavor,
        security_group_count=2,
        rules_per_security_group=2,
        **kwargs,
    ):
        """Create security groups with rules, boot a server, add the groups to it.

        :param image: image to boot
        :param flavor: flavor to boot it with
        :param security_group_count: how many security groups
        :param rules_per_security_group: how many rules, a TCP port each, in a group
        :param kwargs: of the server's creation
        """
        groups = []
        for _ in range(security_group_count):
            group = self.neutron.create_security_group()
            for number in range(rules_per_security_group):
                self.neutron.create_security_group_rule(
                    security_group_id=group["id"],
                    protocol="tcp",
                    port_range_min=1000 + number,
                    port_range_max=1000 + number,
                )
            groups.append(group)
        server = self._boot_server(image, flavor, **kwargs)
        for group in groups:
            self._add_server_secgroups(server, group["name"])
