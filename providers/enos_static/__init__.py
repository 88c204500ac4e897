"""Machines you already have, reached by SSH."""
