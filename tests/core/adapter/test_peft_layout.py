"""PEFT's layout: every tensor of an adapter file is accounted for, in one place."""

import pytest

from gradience.core.adapter.peft_layout import base_module_name, lora_module
from gradience.core.adapter.tensors import FactorForm, TensorInfo, TensorKind
from tests.adapter_files import PREFIX, names_in, peft_contents

EXPERTS = "layers.0.mlp.experts"
TARGETS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]


def _tensor(name: str, *shape: int) -> TensorInfo:
    return TensorInfo(PREFIX + name, shape or (4, 4), "F32")


def _pair(module: str, end: str = "weight", r: int = 2) -> list[TensorInfo]:
    return [_tensor(f"{module}.lora_A.{end}", r, 8), _tensor(f"{module}.lora_B.{end}", 6, r)]


@pytest.mark.parametrize("end", ["weight", "default.weight", "my-adapter.weight"])
def test_pairs_are_found_with_and_without_an_adapter_name(end: str) -> None:
    (pair,) = peft_contents(_pair("layers.0.q", end)).pairs
    assert pair.module == "layers.0.q"
    assert (pair.a.shape, pair.b.shape) == ((2, 8), (6, 2))


@pytest.mark.parametrize("end", ["", ".default"])
def test_embedding_factors_are_a_pair(end: str) -> None:
    sides = [_tensor(f"embed.lora_embedding_{side}{end}", *shape)
             for side, shape in (("A", (2, 30)), ("B", (6, 2)))]  # fmt: skip
    (pair,) = peft_contents(sides).pairs
    assert (pair.module, pair.rank, pair.update_shape) == ("embed", 2, (6, 30))


def test_pairs_keep_the_order_of_the_file() -> None:
    contents = peft_contents([*_pair("b"), *_pair("a"), *_pair("c")])
    assert [pair.module for pair in contents.pairs] == ["b", "a", "c"]


def test_factors_apart_in_the_file_meet() -> None:
    (a, b), (c, d) = _pair("x"), _pair("y")
    assert {pair.module for pair in peft_contents([a, c, d, b]).pairs} == {"x", "y"}


@pytest.mark.parametrize("side", [0, 1])
def test_half_a_pair_is_incomplete(side: int) -> None:
    tensor = _pair("x")[side]
    contents = peft_contents([tensor])
    assert (contents.pairs, contents.incomplete) == ((), (tensor,))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("q.lora_magnitude_vector", TensorKind.DORA_MAGNITUDE),
        ("q.lora_magnitude_vector.weight", TensorKind.DORA_MAGNITUDE),
        ("q.lora_E", TensorKind.SINGULAR_VALUES),
        ("q.ranknum", TensorKind.SCALING),
        ("q.lora_B.bias", TensorKind.LORA_BIAS),
        ("q.lora_B.default.bias", TensorKind.LORA_BIAS),
        ("q.lora_diag", TensorKind.UNREAD_FACTOR),
        ("embed.token_adapter.trainable_tokens_delta", TensorKind.TRAINABLE_TOKENS),
        ("score.original_module.weight", TensorKind.ORIGINAL_MODULE),
        ("score.modules_to_save.default.weight", TensorKind.SAVED_MODULE),
        ("q.base_layer.weight", TensorKind.BASE_COPY),
        ("q.bias", TensorKind.BIAS),
        ("score.weight", TensorKind.SAVED_MODULE),
    ],
)
def test_other_tensors_are_named(name: str, kind: TensorKind) -> None:
    tensor = _tensor(name)
    assert peft_contents([tensor]).others == ((tensor, kind),)


@pytest.mark.parametrize("shape", [(8,), ()])
def test_factors_that_are_no_matrices_are_not_read(shape: tuple[int, ...]) -> None:
    tensor = TensorInfo(f"{PREFIX}q.lora_A.weight", shape, "F32")
    assert peft_contents([tensor]).others == ((tensor, TensorKind.UNREAD_FACTOR),)


@pytest.mark.parametrize("kernel", [(3,), (3, 2), (3, 2, 4)])
def test_a_convolutions_update_is_the_flattened_matrix(kernel: tuple[int, ...]) -> None:
    ones = (1,) * len(kernel)
    tensors = [_tensor("c.lora_A.weight", 2, 5, *kernel), _tensor("c.lora_B.weight", 7, 2, *ones)]
    (pair,) = peft_contents(tensors).pairs
    size = 5
    for extent in kernel:
        size *= extent
    assert (pair.form, pair.rank) == (FactorForm.MATRICES, 2)
    assert pair.update_shape == (7, size)


def test_three_dimensional_stacks_are_experts() -> None:
    tensors = [_tensor("e.lora_A.weight", 3, 2, 8), _tensor("e.lora_B.weight", 3, 6, 2)]
    (pair,) = peft_contents(tensors).pairs
    assert (pair.form, pair.experts, pair.rank) == (FactorForm.EXPERT_STACK, 3, 2)
    assert pair.update_shape == (6, 8)


def test_nested_parameters_have_their_names_and_ranks() -> None:
    tensors = [*_pair(f"{EXPERTS}.base_layer", r=12), *_pair(EXPERTS, r=12)]
    contents = peft_contents(tensors, target_parameters=TARGETS)
    assert [(pair.module, pair.experts, pair.rank) for pair in contents.pairs] == [
        (f"{EXPERTS}.gate_up_proj", 3, 4),
        (f"{EXPERTS}.down_proj", 3, 4),
    ]


def test_one_parameter_of_a_module_takes_its_pattern() -> None:
    config = {"target_parameters": TARGETS[1:], "rank_pattern": {"experts.down_proj": 6}}
    (pair,) = peft_contents(_pair(EXPERTS, r=12), **config).pairs
    assert (pair.parameter, pair.experts, pair.rank) == ("down_proj", 2, 6)


def test_a_parameter_without_a_path_is_of_stacks_alone() -> None:
    tensors = [*_pair("layers.0.q_proj", r=4), *_pair(EXPERTS, r=12)]
    found = peft_contents(tensors, target_parameters=["gate_up_proj"]).pairs
    assert [(pair.module, pair.experts) for pair in found] == [
        ("layers.0.q_proj", None),
        (f"{EXPERTS}.gate_up_proj", 3),
    ]


def _adalora(*modules: str, end: str = "") -> list[TensorInfo]:
    shapes = (("A", (3, 8)), ("B", (6, 3)), ("E", (3, 1)))
    return [_tensor(f"{m}.lora_{side}{end}", *shape) for m in modules for side, shape in shapes]


def test_adaloras_values_belong_to_their_pair() -> None:
    contents = peft_contents(_adalora("q", "v"), peft_type="ADALORA")
    assert [pair.values and pair.values.name for pair in contents.pairs] == [
        f"{PREFIX}q.lora_E",
        f"{PREFIX}v.lora_E",
    ]
    assert contents.others == ()


def test_values_of_a_second_adapter_are_told_apart() -> None:
    tensors = [*_adalora("q", end=".one"), *_adalora("q", end=".two")]
    contents = peft_contents(tensors, peft_type="ADALORA")
    values = [pair.values for pair in (*contents.pairs, *contents.other_adapters)]
    assert [tensor.name for tensor in values if tensor] == [
        f"{PREFIX}q.lora_E.one",
        f"{PREFIX}q.lora_E.two",
    ]
    assert sorted(names_in(contents)) == sorted(tensor.name for tensor in tensors)


def test_a_mask_keeps_directions_of_an_unpruned_file() -> None:
    mask = {"q.lora_E": [True, False, True]}
    (pair,) = peft_contents(_adalora("q"), peft_type="ADALORA", rank_pattern=mask).pairs
    assert (pair.kept, pair.rank, pair.scaling.r) == ((0, 2), 2, 2)


def test_a_pair_stored_three_times_counts_once_in_its_plain_form() -> None:
    original = _pair("classifier.original_module")
    saved = _pair("classifier.modules_to_save.default")
    plain = _pair("classifier")
    contents = peft_contents([*original, *saved, *plain])
    assert [pair.a for pair in contents.pairs] == [plain[0]]
    assert [pair.a for pair in contents.copies] == [saved[0], original[0]]


def test_the_trained_copy_is_preferred_to_the_original() -> None:
    saved = _pair("classifier.modules_to_save")
    contents = peft_contents([*_pair("classifier.original_module"), *saved])
    assert contents.pairs[0].a == saved[0]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("base_model.model.model.layers.0.q", "model.layers.0.q"),
        ("base_model.model.base_model.model.layers.0.q", "layers.0.q"),
        ("layers.0.q", "layers.0.q"),
        ("base_model.model.score.modules_to_save", "score"),
        ("base_model.model.score.modules_to_save.default.dense", "score.dense"),
        ("base_model.model.score.original_module", "score"),
        ("base_model.model.x.original_modules", "x.original_modules"),
        ("base_model.model._orig_mod.layers.0.q", "layers.0.q"),
        ("_orig_mod.base_model.model.layers.0.q", "layers.0.q"),
        ("base_model.model.layers.0._fsdp_wrapped_module.q", "layers.0.q"),
        ("base_model.model.layers.0._checkpoint_wrapped_module.q", "layers.0.q"),
    ],
)
def test_base_names_lose_prefix_and_wrappers(raw: str, name: str) -> None:
    assert base_module_name(raw) == name


def test_no_tensor_is_lost() -> None:
    tensors = [*_pair("a"), *_pair("a.original_module"), _pair("b")[0], _tensor("c.bias")]
    assert sorted(names_in(peft_contents(tensors))) == sorted(tensor.name for tensor in tensors)


def test_pairs_of_a_second_adapter_are_told_apart() -> None:
    found = peft_contents([*_pair("q", "default.weight"), *_pair("q", "other.weight")])
    assert [pair.a.name for pair in found.pairs] == ["base_model.model.q.lora_A.default.weight"]
    assert [p.a.name for p in found.other_adapters] == ["base_model.model.q.lora_A.other.weight"]
    assert found.copies == ()


def test_the_module_of_a_lora_tensor_is_what_stands_before_lora() -> None:
    assert lora_module("base_model.model.embed.lora_embedding_A") == "embed"
    assert lora_module("base_model.model.head.weight") is None
