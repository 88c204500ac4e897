"""Running Ansible on the testbed: inventory text, playbooks, events."""
