"""Every family against the models that transformers builds."""
