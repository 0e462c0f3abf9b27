"""The audit: what an adapter's weights use of the rank that was paid for."""
