"""Old spellings in the shape of the structs; test_decode.py reads whole lines of them."""

from gradience.core.telemetry.events import TrainStep
from tests.core.telemetry.sample_events import decoded


def test_an_extra_without_a_name_keeps_its_case() -> None:
    event = decoded("train_step", **{"": "A"})
    assert isinstance(event, TrainStep)
    assert event.extras == {"": "A"}
