"""Report a layer 2 agent as alive for each host named in /etc/neutron/hosts.

Neutron binds a port only where an agent lives. Nothing is plugged on a pretended
compute host, so the report is all there is to that agent. Runs in the image of
neutron-openvswitch-agent.
"""

import time
from pathlib import Path
from typing import Any

HOSTS = Path("/etc/neutron/hosts")
PERIOD = 30  # seconds, neutron's own default of report_interval


def state(host: str) -> dict[str, Any]:
    """Return what an Open vSwitch agent tells of itself when it starts."""
    return {
        "binary": "neutron-openvswitch-agent",
        "host": host,
        "topic": "N/A",
        "agent_type": "Open vSwitch agent",
        "start_flag": True,
        "configurations": {
            "bridge_mappings": {},
            "tunnel_types": ["vxlan"],
            "tunneling_ip": "",
            "l2_population": True,
            "datapath_type": "netdev",
            "integration_bridge": "br-int",
        },
    }


def main() -> None:
    """Report for ever."""
    from neutron.agent import rpc
    from neutron.common import config
    from neutron.conf.agent import common
    from neutron_lib import context
    from neutron_lib.agent import topics
    from oslo_config import cfg

    config.register_common_config_options()
    common.register_agent_state_opts_helper(cfg.CONF)
    config.init(["--config-file", "/etc/neutron/neutron.conf"])
    config.setup_logging()
    reports = rpc.PluginReportStateAPI(topics.REPORTS)
    states = [state(host) for host in HOSTS.read_text(encoding="utf-8").split()]
    while True:
        for each in states:
            admin = context.get_admin_context_without_session()
            reports.report_state(admin, each, use_call=True)
            each.pop("start_flag", None)
        time.sleep(PERIOD)


if __name__ == "__main__":
    main()
