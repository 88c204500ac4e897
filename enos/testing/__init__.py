"""Fakes and contracts for tests, of enos and of third-party providers."""
