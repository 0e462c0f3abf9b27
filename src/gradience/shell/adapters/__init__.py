"""Adapters on disk: finding their files and reading their tensors one at a time."""
