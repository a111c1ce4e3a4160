"""deploy/README.md from an empty machine to two hosts, each command run: `python -m tests.walkthrough`."""
