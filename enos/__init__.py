"""Repeatable OpenStack experiments from one YAML file."""
