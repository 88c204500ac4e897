"""Container images: found, built, pushed, compared."""
