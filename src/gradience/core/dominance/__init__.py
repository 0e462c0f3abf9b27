"""How large the update is: against the base weights, and over layers."""
