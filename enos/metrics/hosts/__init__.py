"""Programs that enos runs on the machines, by their Python, fed on standard input."""
