"""From the stored tensors of a quantised base weight back to a float32 matrix."""
