"""Recipes of the bundled model families, one file a kind of network. See ../make_models.py."""
