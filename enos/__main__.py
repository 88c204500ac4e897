"""`python -m enos`."""

from enos.cli import main

main()
