"""Which updates of a live PEFT model are found, and which are left out by name."""

import pytest
import torch
from peft import AdaLoraConfig, LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear as LoraLinear

from gradience.shell.trainer.lora_updates import LiveUpdates, live_updates


class Base(torch.nn.Module):
    """One layer of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(6, 5)
        self.table = torch.nn.Embedding(7, 4)
        self.conv = torch.nn.Conv2d(2, 4, 3)
        self.grouped = torch.nn.Conv2d(2, 4, 3, groups=2)


def adapted(*targets: str, **settings: object) -> PeftModel:
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=list(targets), **settings)  # type: ignore[arg-type]  # settings of many types
    model = get_peft_model(Base(), config)
    assert isinstance(model, PeftModel)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    return model


def linear(model: PeftModel) -> LoraLinear:
    layer = model.get_submodule("base_model.model.linear")
    assert isinstance(layer, LoraLinear)
    return layer


def only(found: LiveUpdates) -> tuple[str, torch.Tensor, float]:
    """Name, s·B·A and s of the one update."""
    assert found.skipped == {}
    (update,) = found.updates
    product = update.b.flatten(1) @ update.a.flatten(1)
    return update.module, update.scale * product, update.scale


@pytest.mark.parametrize("target", ["linear", "table", "conv"])
@pytest.mark.parametrize("use_rslora", [False, True])
def test_the_update_is_pefts_own(target: str, use_rslora: bool) -> None:  # noqa: FBT001  a parameter of the test
    model = adapted(target, lora_alpha=3, use_rslora=use_rslora)
    name, delta, _ = only(live_updates(model))
    layer = getattr(model.base_model.model, target)
    peft_delta = layer.get_delta_weight("default").detach()
    expected = peft_delta.T if target == "table" else peft_delta.flatten(1)
    assert name == target
    torch.testing.assert_close(delta.detach(), expected)


def test_a_changed_scaling_is_read_as_it_is_now() -> None:
    model = adapted("linear", lora_alpha=4)
    linear(model).scaling["default"] = 0.25
    assert only(live_updates(model))[2] == 0.25


def test_dora_is_marked() -> None:
    (update,) = live_updates(adapted("linear", use_dora=True)).updates
    assert update.dora
    (plain,) = live_updates(adapted("linear")).updates
    assert not plain.dora


@pytest.mark.filterwarnings("ignore:LoRA adapter added to ConvNd layer with groups")
def test_a_grouped_convolution_is_left_out() -> None:
    found = live_updates(adapted("grouped", "linear"))
    assert found.skipped == {"grouped convolution": ["grouped"]}
    assert [update.module for update in found.updates] == ["linear"]


def test_a_frozen_adapter_is_left_out_and_trained_ones_are_told_apart() -> None:
    model = adapted("linear")
    model.add_adapter("second", LoraConfig(r=3, target_modules=["linear"]))
    found = live_updates(model)
    assert [update.module for update in found.updates] == ["linear[default]"]
    assert found.skipped == {"frozen": ["linear[second]"]}


def test_an_initialisation_that_changes_the_base_is_left_out_with_the_reason() -> None:
    found = live_updates(adapted("linear", init_lora_weights="pissa"))
    assert found.updates == []
    assert found.skipped == {"initialisation pissa: B·A is not the update": ["linear"]}


def test_adalora_is_left_out() -> None:
    config = AdaLoraConfig(target_modules=["linear"], total_step=10)
    found = live_updates(get_peft_model(Base(), config))
    assert found.skipped == {"AdaLoRA": ["linear"]}


def test_stacked_experts_are_left_out() -> None:
    config = LoraConfig(r=2, target_modules=[], target_parameters=["linear.weight"])
    found = live_updates(get_peft_model(Base(), config))
    assert found.skipped == {"factors of stacked experts": ["linear"]}


def test_factors_that_are_not_here_are_left_out() -> None:
    model = adapted("linear")
    linear(model).lora_A["default"].weight.data = torch.empty(0)
    assert live_updates(model).skipped == {"spread over processes or not loaded": ["linear"]}


def test_a_model_without_lora_has_none() -> None:
    assert live_updates(torch.nn.Linear(2, 2)) == LiveUpdates([], {})


def test_a_wrapped_model_has_the_same_names() -> None:
    wrapped = torch.nn.Sequential()
    wrapped.add_module("module", adapted("linear"))
    assert only(live_updates(wrapped))[0] == "linear"
