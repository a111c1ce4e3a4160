"""The HTTP front: the receiver on the public internet, the API and the probes beside it."""
