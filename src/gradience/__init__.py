"""Gradience: a flight recorder and a mechanic for LoRA / PEFT fine-tuning."""

__all__ = ["__version__"]

__version__ = "0.9.0"
