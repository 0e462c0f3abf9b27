"""One module of an audit explained: its policies, why they disagree, what would decide."""
