"""How fast kgan is on this machine: `make bench`, or `python -m benchmarks --help`."""
