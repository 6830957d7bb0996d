"""A training carried to another machine and home again."""

MB = 1_000_000  # bytes, as limits of uploads count them
