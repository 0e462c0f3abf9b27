"""The import paths that the public contract freezes: re-exports only."""
