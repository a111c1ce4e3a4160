"""Catchlight's workers: jobs that fetch, keep, commit and deliver, and the sweeper that finds what is due."""
