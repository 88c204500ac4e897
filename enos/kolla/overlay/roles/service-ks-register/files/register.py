"""Register an OpenStack service in Keystone: everything of it, with one login.

Runs inside kolla_toolbox. `request` is given by the caller; the last line printed is
the result as JSON. What is there already and right is left alone.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Request = Mapping[str, Any]


class Registration:
    """One service's entries in Keystone, made or corrected over a connection."""

    def __init__(self, identity: Any, request: Request) -> None:
        self.identity = identity
        self.request = request
        self.changed: list[str] = []
        domain = identity.find_domain(request["domain"])
        self.domain = domain.id if domain else request["domain"]
        self.projects: dict[str, str] = {}
        self.users: dict[str, str] = {}
        self.roles: dict[str, str] = {}

    def run(self) -> list[str]:
        """Do all of it, in the order in which one needs the other."""
        self.catalogue()
        self.make_projects()
        self.make_users()
        self.make_roles()
        for grant in (*self.request["users"], *self.request["user_roles"]):
            self.grant(grant)
        return self.changed

    def catalogue(self) -> None:
        """Make the services and their end points."""
        wanted = [s for s in self.request["services"] if on(s.get("enabled", True))]
        known = {service.name: service for service in self.identity.services()}
        for service in wanted:
            found = known.get(service["name"])
            if service.get("state") == "absent":
                if found:
                    self.identity.delete_service(found)
                    self.changed.append(f"service {service['name']} removed")
                continue
            if found is None:
                found = self.identity.create_service(
                    name=service["name"],
                    type=service.get("type"),
                    description=service.get("description", ""),
                )
                self.changed.append(f"service {service['name']}")
            self.endpoints(found, service.get("endpoints", ()))

    def endpoints(self, service: Any, wanted: Iterable[Mapping[str, str]]) -> None:
        """Make the end points of a service, or correct their addresses."""
        region = self.request["endpoint_region"]
        known = {
            (endpoint.interface, endpoint.region_id): endpoint
            for endpoint in self.identity.endpoints(service_id=service.id)
        }
        for endpoint in wanted:
            found = known.get((endpoint["interface"], region))
            if found is None:
                self.identity.create_endpoint(
                    service_id=service.id,
                    interface=endpoint["interface"],
                    url=endpoint["url"],
                    region_id=region,
                    is_enabled=True,
                )
            elif found.url != endpoint["url"]:
                self.identity.update_endpoint(found, url=endpoint["url"])
            else:
                continue
            self.changed.append(f"{endpoint['interface']} {endpoint['url']}")

    def make_projects(self) -> None:
        """Make the projects of the service's users."""
        names = dict.fromkeys(u["project"] for u in self.request["users"])
        known = self.identity.projects(domain_id=self.domain) if names else ()
        self.projects = self.missing(
            "project",
            names,
            known,
            lambda name: self.identity.create_project(name=name, domain_id=self.domain),
        )

    def make_users(self) -> None:
        """Make the service's users, with the passwords of this deployment."""
        users = {user["user"]: user for user in self.request["users"]}
        known = list(self.identity.users(domain_id=self.domain)) if users else []
        for user in known:
            password = users.get(user.name, {}).get("password")
            if password and self.request["update_passwords"]:
                self.identity.update_user(user, password=password)
                self.changed.append(f"password of {user.name}")
        self.users = self.missing(
            "user",
            users,
            known,
            lambda name: self.identity.create_user(
                name=name,
                domain_id=self.domain,
                default_project_id=self.projects[users[name]["project"]],
                password=users[name].get("password"),
            ),
        )

    def make_roles(self) -> None:
        """Make the roles that are granted."""
        names = dict.fromkeys(
            (
                *(user["role"] for user in self.request["users"]),
                *self.request["roles"],
            )
        )
        self.roles = self.missing(
            "role",
            names,
            self.identity.roles(),
            lambda name: self.identity.create_role(name=name),
        )

    def grant(self, wanted: Mapping[str, str]) -> None:
        """Give a user a role on a project, a domain or the system; idempotent."""
        role = self.roles.get(wanted["role"]) or self.found("role", wanted["role"])
        user = self.users.get(wanted["user"]) or self.found("user", wanted["user"])
        if wanted.get("system"):
            self.identity.assign_system_role_to_user(user, role, wanted["system"])
        elif wanted.get("project"):
            project = self.projects.get(wanted["project"])
            project = project or self.found("project", wanted["project"])
            self.identity.assign_project_role_to_user(project, user, role)
        else:
            domain = self.found("domain", wanted["domain"])
            self.identity.assign_domain_role_to_user(domain, user, role)

    def found(self, kind: str, name: str) -> str:
        """Return the id of what another deployment step made."""
        return str(
            getattr(self.identity, f"find_{kind}")(name, ignore_missing=False).id
        )

    def missing(
        self,
        kind: str,
        names: Iterable[str],
        known: Iterable[Any],
        create: Callable[[str], Any],
    ) -> dict[str, str]:
        """Return name → id, creating those that are not known."""
        ids = {each.name: each.id for each in known}
        for name in names:
            if name not in ids:
                ids[name] = create(name).id
                self.changed.append(f"{kind} {name}")
        return ids


def on(value: object) -> bool:
    """Tell whether Ansible takes a value for true."""
    return str(value).lower() in {"true", "yes", "on", "1"}


def main(request: Request) -> None:
    """Connect, register, print the result."""
    import openstack

    connection = openstack.connect(
        cloud=request["cloud"] or None,
        auth=dict(request["auth"]),
        region_name=request["region_name"],
        interface=request["interface"],
        **({"cacert": request["cacert"]} if request["cacert"] else {}),
    )
    done = Registration(connection.identity, request).run()
    print(json.dumps({"changed": bool(done), "registered": done}))  # noqa: T201  # the result


if "request" in globals():
    main(globals()["request"])
