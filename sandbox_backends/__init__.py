"""How to open a machine and talk to it."""
