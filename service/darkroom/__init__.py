"""Small pictures of outputs: made when asked for by a process of its own with limits, and stored.

Nothing else of ours decodes what a stranger has made.
"""
