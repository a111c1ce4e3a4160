"""The stand-in provider: its API, its CDN and its faults, on loopback, with a truth ledger to check against.

Written from the provider's documented wire format and from nothing of ours: were it to share our signing or
parsing, the tests would only prove that we agree with ourselves.
"""
