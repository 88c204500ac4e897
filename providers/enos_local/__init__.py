"""The embedded testbed: nodes are containers on this machine."""
