"""The guard, on real tensors and in real runs."""
