"""Delay, rate and loss between groups: constraints to rules to proof."""
