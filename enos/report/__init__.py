"""What an experiment asked for, what was there and what was measured, as HTML. Pure.

Every page is one file that needs no network: scripts and styles are in it.
"""
