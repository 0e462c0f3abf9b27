"""The Hugging Face Trainer callback under its contract path."""

from gradience.shell.trainer.callback import GradienceCallback
from gradience.shell.trainer.live_alerts import HookReply
from gradience.shell.trainer.settings import GradienceCallbackConfig

__all__ = ["GradienceCallback", "GradienceCallbackConfig", "HookReply"]
