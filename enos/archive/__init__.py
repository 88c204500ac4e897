"""One archive of everything an experiment left, with a manifest."""
