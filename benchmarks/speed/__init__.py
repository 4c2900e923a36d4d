"""How fast the clients are, beside each other and beside what is needed at least: ``python -m benchmarks``."""
