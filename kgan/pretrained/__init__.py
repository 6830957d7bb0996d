"""Networks that others trained, for measures and losses, and where their weights lie."""
