"""The experiment file: schema, positions, topology."""
