"""Lets ``python -m proctor`` stand in for the ``proctor`` command."""

from proctor.clients.cli import main

if __name__ == "__main__":
    main()
