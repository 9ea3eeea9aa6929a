"""`python -m tallystick`."""

from tallystick.cli.main import run

run()
