"""The one hierarchy of errors that Gradience raises for broken files and wrong calls."""


class GradienceError(Exception):
    """Base of every error whose message is meant for the person at the keyboard.

    A message says where (``path:line`` or tensor name), what was expected, what was found and
    what to do about it. The command line prints it on stderr and exits with 2.
    """


class ConfigError(GradienceError, ValueError):
    """A training or adapter configuration does not say what it must."""


class TelemetryError(GradienceError, ValueError):
    """A telemetry file or event is not what the telemetry contract promises."""


class TelemetrySchemaError(TelemetryError):
    """A file follows another schema than the telemetry that this version reads."""


class TextViolationError(TelemetryError):
    """A text longer than the privacy policy allows was handed to a writer that raises."""


class AdapterError(GradienceError, ValueError):
    """An adapter's files are missing, damaged or contradict each other."""


class UnsupportedAdapterError(AdapterError):
    """An adapter is of a kind that has no low-rank spectrum or whose layout is not read yet."""


class BaseModelError(GradienceError, ValueError):
    """A base model's checkpoint cannot be read."""


class MissingDependencyError(GradienceError, ImportError):
    """An optional package is needed for what was asked and is not installed."""
