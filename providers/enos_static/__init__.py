"""Provider `static`: machines that are there already, reached by SSH."""

from enos_static.static import Static

__all__ = ["Static"]
