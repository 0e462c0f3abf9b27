"""A LoRA adapter as data: its configuration, its tensors' names, its scaling."""
