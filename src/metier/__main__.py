"""`python -m metier`, the same as the command `metier`."""

from metier.cli import main

main()
