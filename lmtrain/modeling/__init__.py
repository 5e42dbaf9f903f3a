"""Architectures by name, from Transformers' configurations. Knows no sharding."""
