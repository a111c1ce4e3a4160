"""The game day: what goes wrong in the night, tried by day. `python -m tests.faults.gameday --help`."""
