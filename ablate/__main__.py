"""`python -m ablate` from an uninstalled tree."""

from ablate.cli import main

main()
