"""What a model's config.json tells of its modules, and what an adapter makes of them."""
