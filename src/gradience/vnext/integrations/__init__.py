"""Integrations with training frameworks, under their contract path."""
