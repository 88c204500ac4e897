"""argv to one call to a printed result; the only place that writes to a terminal."""
