"""Models whose layers are stacked anew."""

import pytest
from peft.tuners.tuners_utils import replicate_layers

from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture
from gradience.core.architecture.replication import replicated
from gradience.core.errors import ConfigError
from tests.meta_models import DECODER, Case, config_json, meta_model

LLAMA = Case("LlamaForCausalLM", DECODER)


@pytest.mark.parametrize("ranges", [((0, 3),), ((0, 2), (1, 3)), ((2, 3), (0, 1), (2, 3))])
def test_as_peft_stacks_them(ranges: tuple[tuple[int, int], ...]) -> None:
    model, architecture = meta_model(LLAMA), build_architecture(config_json(LLAMA))
    replicate_layers(model, list(ranges))
    assert isinstance(architecture, Architecture)
    found = replicated(architecture, ranges)
    expected = {
        name for name, each in model.named_modules() if list(each.parameters(recurse=False))
    }
    assert {module.name for module in found.modules} == expected
    assert found.size == sum(each.numel() for each in model.parameters())
    assert found.n_layers == sum(end - start for start, end in ranges)


def test_no_ranges_change_nothing() -> None:
    architecture = build_architecture(config_json(LLAMA))
    assert isinstance(architecture, Architecture)
    assert replicated(architecture, ()) is architecture


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        (((0, 10**9),), "names layers 0 to 1000000000 of a model with 3"),
        (((-1, 2),), "names layers -1 to 2"),
        (((0, 3),) * 4000, "makes 12000 layers"),
    ],
)
def test_layers_that_cannot_be_are_refused(ranges: tuple[tuple[int, int], ...], words: str) -> None:
    architecture = build_architecture(config_json(LLAMA))
    assert isinstance(architecture, Architecture)
    with pytest.raises(ConfigError, match=words):
        replicated(architecture, ranges)
