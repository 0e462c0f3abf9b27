"""Tests of the import paths that the contract freezes."""
