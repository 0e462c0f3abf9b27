"""Tests of spectra and their quantities."""
