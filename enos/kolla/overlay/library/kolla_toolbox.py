"""Run one Ansible module inside the kolla_toolbox container.

Takes the place of kolla-ansible's module of the same name and takes its arguments.
Theirs starts a whole Ansible in the container for each call, some five seconds of
processor time; this one imports the module in one Python process there. Arguments,
passwords among them, travel on standard input only. The module name `enos.python`
runs the Python text `source` there with the value `request`.
"""

import json
import subprocess
import sys
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: kolla_toolbox
short_description: run an Ansible module inside the kolla_toolbox container
options:
  container_engine: {type: str, choices: [docker, podman], required: true}
  module_name: {type: str, required: true}
  module_args: {type: dict, default: {}}
  module_extra_vars: {type: dict, default: {}}
  api_version: {type: str, default: auto}
  timeout: {type: int, default: 180}
  user: {type: str}
author: enos
"""

# Short names that kolla's roles use → the collections they are in.
SHORT = {
    "influxdb": "community.general",
    "mysql": "community.mysql",
    "openvswitch": "openvswitch.openvswitch",
    "rabbitmq": "community.rabbitmq",
}
# Old names that Ansible redirects (`plugin_routing` in ansible_builtin_runtime.yml).
RENAMED = {
    "os_keystone_domain": "openstack.cloud.identity_domain",
    "os_nova_host_aggregate": "openstack.cloud.host_aggregate",
}

# Not a module: its arguments are `source`, a program of ours, and its `request`.
PROGRAM = "enos.python"

# Runs in the container; argv is empty, the request is one JSON object on stdin.
INSIDE = r"""
import json, os, runpy, sys
request = json.load(sys.stdin)
folders = ["/usr/share/ansible/collections", "/root/.ansible/collections"]
sys.path[:0] = [folder for folder in folders if os.path.isdir(folder)]
os.environ.setdefault("HOME", "/tmp")
if not request["path"]:
    source, own = request["args"]["source"], request["args"]["request"]
    exec(compile(source, "enos", "exec"), {"__name__": "enos", "request": own})
    sys.exit(0)
path = request["path"]
from ansible.module_utils import basic
arguments = dict(request["args"], _ansible_check_mode=request["check"],
                 _ansible_diff=request["diff"], _ansible_remote_tmp="/tmp",
                 _ansible_tmpdir=None, _ansible_keep_remote_files=False)
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
basic._ANSIBLE_PROFILE = "legacy"
sys.argv = [path]
runpy.run_module(path, run_name="__main__", alter_sys=False)
"""


def main() -> None:
    """Run the module and pass its result on."""
    module = AnsibleModule(
        argument_spec={
            "container_engine": {
                "type": "str",
                "choices": ["podman", "docker"],
                "required": True,
            },
            "module_name": {"type": "str", "required": True},
            "module_args": {"type": "dict", "default": {}},
            "module_extra_vars": {"type": "dict", "default": {}},
            "api_version": {"type": "str", "default": "auto"},
            "timeout": {"type": "int", "default": 180},
            "user": {"type": "str"},
        },
        supports_check_mode=True,
    )
    _hide(module)
    done = subprocess.run(
        _argv(module.params),
        input=_request(module),
        capture_output=True,
        text=True,
        timeout=module.params["timeout"],
        check=False,
    )
    result = _result(done.stdout)
    if result is None:
        message = f"kolla_toolbox: {module.params['module_name']} gave no result"
        module.fail_json(
            msg=message, rc=done.returncode, stdout=done.stdout, stderr=done.stderr
        )
        sys.exit(1)
    for key in ("invocation", "deprecations", "warnings"):
        result.pop(key, None)  # in the form of the container's Ansible, not of ours
    if result.pop("failed", False) or done.returncode:
        module.fail_json(msg=result.pop("msg", "no message"), **result)
    module.exit_json(**result)


def _argv(params: dict[str, Any]) -> list[str]:
    user = ["--user", params["user"]] if params["user"] else []
    python = "/opt/ansible/bin/python3"
    return [
        *(params["container_engine"], "exec", "--interactive", *user),
        *("kolla_toolbox", python, "-c", INSIDE),
    ]


def _request(module: AnsibleModule) -> str:
    return json.dumps(
        {
            "path": module_path(module.params["module_name"]),
            "args": _filled(module.params["module_args"], module),
            "check": module.check_mode,
            "diff": bool(getattr(module, "_diff", False)),
        }
    )


def module_path(name: str) -> str:
    """Return the dotted path of a module as Python imports it, "" for a program."""
    if name == PROGRAM:
        return ""
    name = RENAMED.get(name, name)
    if "." not in name and name.partition("_")[0] in SHORT:
        name = f"{SHORT[name.partition('_')[0]]}.{name}"
    parts = name.split(".")
    if len(parts) == 1 or parts[:2] == ["ansible", "builtin"]:
        return f"ansible.modules.{parts[-1]}"
    namespace, collection, module = parts
    return f"ansible_collections.{namespace}.{collection}.plugins.modules.{module}"


def _filled(arguments: dict[str, Any], module: AnsibleModule) -> dict[str, Any]:
    """Put extra variables in, for the arguments that are one ``{{ name }}``."""
    extra = module.params["module_extra_vars"]
    filled = {}
    for key, value in arguments.items():
        inner = str(value).strip()
        name = inner[2:-2].strip() if inner[:2] == "{{" and inner[-2:] == "}}" else ""
        filled[key] = extra.get(name, value)
    return filled


def _result(output: str) -> "dict[str, Any] | None":
    for line in reversed(output.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def _hide(module: AnsibleModule) -> None:
    secret = ("login_password", "password", "url_password")
    for values in (module.params["module_args"], module.params["module_extra_vars"]):
        auth = values.get("auth")
        for source in (values, auth if isinstance(auth, dict) else {}):
            found = (source.get(key) for key in secret)
            module.no_log_values.update(str(each) for each in found if each)


if __name__ == "__main__":
    main()
