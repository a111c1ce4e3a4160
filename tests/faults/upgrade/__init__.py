"""A rolling upgrade, the version before beside this one. `python -m tests.faults.upgrade --help`."""
