"""Tests of the update against the base weights and over layers."""
