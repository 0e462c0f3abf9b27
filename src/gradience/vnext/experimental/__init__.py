"""Experimental parts: their names may change between versions."""
