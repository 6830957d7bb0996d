"""Trained filters and generators: loading, running and drawing; those that come with kgan lie here too."""
