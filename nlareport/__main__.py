"""``python -m nlareport``: the command line."""

from nlareport.cli import main

main()
