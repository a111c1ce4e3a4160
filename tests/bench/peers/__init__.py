"""What people use instead, each in an environment of its own (PEP 723, npm): their needs clash with ours."""
