"""Analyzers: pure folds over columnar batches of events, one signal each."""
