"""The guard at work: gradients looked at, snapshots taken, weights and moments put back."""
