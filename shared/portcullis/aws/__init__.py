"""The narrow ports to AWS: a few named operations on plain values, and the only AWS clients."""
