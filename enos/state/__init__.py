"""The experiment directory: record, journal, lock."""
