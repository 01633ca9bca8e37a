"""Chronos measured against its peers, side by side: `python -m benchmarks`. Nothing of the product imports this."""
