"""How far translated pictures are from a set of real ones: features of a network, and distances between them."""
