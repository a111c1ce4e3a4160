"""The dashboard as people have it: every page in a real browser, which complains about whatever is not right.

`vendored/axe.min.js` is axe-core 4.14.1, under the MPL-2.0 beside it; only these tests have it.
"""
