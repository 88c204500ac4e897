"""Container images of OpenStack: which are needed, how they are had, where they go.

`needed` and `recipe` decide, `sources`, `base` and `build` act, `ready` ties them
together; `registry` and `diff` work on images that are there.
"""
