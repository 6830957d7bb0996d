"""A training carried to another machine and home again."""
