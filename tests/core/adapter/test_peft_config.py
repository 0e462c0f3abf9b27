"""adapter_config.json as a value: defaults, refusals, kinds that are declined."""

import json

import pytest

from gradience.core.adapter.peft_config import PeftLoraConfig, peft_lora_config
from gradience.core.errors import ConfigError
from tests.adapter_files import lora_config
from tests.shared_data import SHARED, needs_shared_data

PLACE = "folder/adapter_config.json"


def _read(**changes: object) -> PeftLoraConfig:
    return peft_lora_config(lora_config(**changes), PLACE)


def test_defaults_are_those_of_peft() -> None:
    from peft import LoraConfig

    ours, theirs = peft_lora_config({"peft_type": "LORA"}, PLACE), LoraConfig()
    assert (ours.r, ours.lora_alpha, ours.lora_dropout) == (theirs.r, theirs.lora_alpha, 0.0)
    assert (ours.bias, ours.use_rslora, ours.use_dora) == (theirs.bias, False, False)
    assert ours.init_lora_weights is theirs.init_lora_weights


def test_null_means_default() -> None:
    config = _read(rank_pattern=None, use_rslora=None, modules_to_save=None, lora_dropout=None)
    assert config.rank_pattern == {}
    assert config.use_rslora is False
    assert config.modules_to_save == ()


def test_numbers_written_as_strings_are_numbers() -> None:
    config = _read(r="16", lora_alpha="3.2e1")
    assert (config.r, config.lora_alpha) == (16, 32.0)


def test_unknown_keys_are_kept_as_extras() -> None:
    assert _read(megatron_core="megatron.core").extras == {"megatron_core": "megatron.core"}


@pytest.mark.parametrize(
    ("targets", "expected"),
    [(["q", "v"], ("q", "v")), ("all-linear", "all-linear"), (None, None), ({"q"}, ("q",))],
)
def test_targets_are_names_or_one_expression(targets: object, expected: object) -> None:
    assert _read(target_modules=targets).target_modules == expected


@pytest.mark.parametrize(
    "change",
    [
        {"r": 0},
        {"r": -4},
        {"r": 2.5},
        {"r": True},
        {"r": "many"},
        {"rank_pattern": {"q": 0}},
        {"rank_pattern": ["q"]},
        {"rank_pattern": {"q": "x"}},
        {"lora_alpha": [8]},
        {"lora_alpha": True},
        {"use_rslora": "yes"},
        {"target_modules": 3},
        {"modules_to_save": 3},
        {"base_model_name_or_path": 3},
        {"init_lora_weights": 1},
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_file_and_key(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))) as caught:
        _read(**change)
    assert PLACE in str(caught.value)


@pytest.mark.parametrize("kind", [None, 3, ["LORA"]])
def test_a_missing_peft_type_is_refused(kind: object) -> None:
    with pytest.raises(ConfigError, match="'peft_type'"):
        _read(peft_type=kind)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_non_finite_number_is_refused(number: float) -> None:
    with pytest.raises(ConfigError, match="lora_alpha"):
        _read(lora_alpha=number)
    with pytest.raises(ConfigError, match="adapter_config"):
        _read(r=number)


def test_lora_is_accepted_in_any_case_of_letters() -> None:
    assert _read(peft_type="lora").peft_type == "LORA"


def test_the_dictionary_of_a_peft_config_is_read() -> None:
    from peft import LoraConfig, TaskType

    original = LoraConfig(r=3, task_type=TaskType.CAUSAL_LM, target_modules=["q", "v"])
    raw = original.to_dict()  # type: ignore[no-untyped-call]  # peft leaves it untyped
    config = peft_lora_config(raw, PLACE)
    assert (config.peft_type, config.r, config.task_type) == ("LORA", 3, "CAUSAL_LM")
    assert set(config.target_modules or ()) == {"q", "v"}


@pytest.mark.parametrize(
    "init", ["pissa", "pissa_niter_4", "olora", "lora_ga", "corda", "PiSSA", "loftq"]
)
def test_initialisations_that_move_base_weight_are_named(init: str) -> None:
    assert _read(init_lora_weights=init).initialisation_in_factors == init


def test_the_value_that_does_not_fit_is_in_the_message() -> None:
    with pytest.raises(
        ConfigError, match=r"expected a whole number, found \[8\].*adapter_config\.r"
    ):
        _read(r=[8])


@pytest.mark.parametrize("init", [True, False, "gaussian", "eva", "orthogonal"])
def test_other_initialisations_are_accepted(init: object) -> None:
    assert _read(init_lora_weights=init).initialisation_in_factors is None


def test_adaloras_rank_pattern_is_a_mask_of_each_module() -> None:
    masks = {"layers.0.q.lora_E": [True, False], "layers.1.q.lora_E.default": [False, False]}
    config = _read(peft_type="ADALORA", rank_pattern=masks)
    assert config.rank_masks == {"layers.0.q": (True, False), "layers.1.q": (False, False)}
    assert config.rank_pattern == {}


@pytest.mark.parametrize("mask", [3, [1, 0], "yes", None])
def test_a_mask_that_is_no_list_of_booleans_is_refused(mask: object) -> None:
    with pytest.raises(ConfigError, match=r"expected a list of true and false for q.*rank_masks"):
        _read(peft_type="ADALORA", rank_pattern={"q.lora_E": mask})


def test_replicated_layers_are_pairs_of_numbers() -> None:
    assert _read(layer_replication=[[0, 4], [2, 5]]).layer_replication == ((0, 4), (2, 5))


@pytest.mark.parametrize("ranges", [3, "0-4", [[0, 4], [2]], [[0, 4.5]], {"0": 4}])
def test_other_ranges_of_layers_are_refused(ranges: object) -> None:
    with pytest.raises(ConfigError, match="expected pairs of layer numbers"):
        _read(layer_replication=ranges)


def test_target_parameters_are_names() -> None:
    assert _read(target_parameters=["a.b"]).target_parameters == ("a.b",)


@needs_shared_data
def test_a_real_adalora_config_is_read() -> None:
    path = SHARED / "adapter_configs/peft_method_comparison/adalora/adapter_config.json"
    raw = json.loads(path.read_text())
    config = peft_lora_config(raw, PLACE)
    assert (config.peft_type, config.init_r) == ("ADALORA", raw["init_r"])


@needs_shared_data
@pytest.mark.parametrize("name", ["lora-dora", "lora-mlp", "lora-rank32", "lora-rslora"])
def test_real_configs_of_lora_variants_are_read(name: str) -> None:
    path = SHARED / "adapter_configs/peft_method_comparison" / name / "adapter_config.json"
    config = peft_lora_config(json.loads(path.read_text()), PLACE)
    assert config.peft_type == "LORA"
    assert config.use_dora == (name == "lora-dora")
    assert config.use_rslora == (name == "lora-rslora")
