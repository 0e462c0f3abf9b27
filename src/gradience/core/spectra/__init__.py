"""From LoRA factors to singular values, and the quantities that they give."""
