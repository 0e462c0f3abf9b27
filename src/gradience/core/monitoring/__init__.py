"""From signals to a report: the gap, alerts and recommendations of ``gradience monitor``."""
