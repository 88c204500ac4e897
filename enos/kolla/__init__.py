"""OpenStack by kolla-ansible: inventory, globals, passwords, deployment."""
