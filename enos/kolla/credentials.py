"""How people and programs log in to the deployed cloud: openrc and clouds.yaml, pure.

`clouds.yaml` is what openstacksdk, Rally's and the `openstack` command read
(https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html).
"""

import shlex
from dataclasses import dataclass

import yaml

CLOUD = "enos"
"""Name of the cloud in `clouds.yaml`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The administrator's account.

    Attributes:
        url: Keystone's internal end point, with its version.
        cacert: file of the certificate authority on this machine, or empty.

    """

    url: str
    password: str
    user: str = "admin"
    project: str = "admin"
    domain: str = "Default"
    region: str = "RegionOne"
    cacert: str = ""


def openrc(credentials: Credentials) -> str:
    """Return a file to be sourced by a shell, as kolla's admin-openrc.sh."""
    values = {
        "OS_PROJECT_DOMAIN_NAME": credentials.domain,
        "OS_USER_DOMAIN_NAME": credentials.domain,
        "OS_PROJECT_NAME": credentials.project,
        "OS_USERNAME": credentials.user,
        "OS_PASSWORD": credentials.password,
        "OS_AUTH_URL": credentials.url,
        "OS_INTERFACE": "internal",
        "OS_ENDPOINT_TYPE": "internalURL",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": credentials.region,
        "OS_AUTH_PLUGIN": "password",
    }
    if credentials.cacert:
        values["OS_CACERT"] = credentials.cacert
    lines = (f"export {key}={shlex.quote(value)}" for key, value in values.items())
    return "\n".join(("# Written by enos.", *lines)) + "\n"


def clouds_yaml(credentials: Credentials) -> str:
    """Return the text of `clouds.yaml` with one cloud, `enos`."""
    auth = {
        "auth_url": credentials.url,
        "project_domain_name": credentials.domain,
        "user_domain_name": credentials.domain,
        "project_name": credentials.project,
        "username": credentials.user,
        "password": credentials.password,
    }
    cloud = {
        "auth": auth,
        "region_name": credentials.region,
        "interface": "internal",
        "identity_api_version": 3,
        **({"cacert": credentials.cacert} if credentials.cacert else {}),
    }
    text = yaml.safe_dump({"clouds": {CLOUD: cloud}}, sort_keys=False)
    return f"# Written by enos.\n{text}"
