"""Every tensor of an adapter file is accounted for, in one place."""

import pytest

from gradience.core.adapter.tensors import (
    TensorInfo,
    TensorKind,
    base_module_name,
    lora_module,
    sort_tensors,
)

PREFIX = "base_model.model."


def _tensor(name: str, *shape: int) -> TensorInfo:
    return TensorInfo(PREFIX + name, shape or (4, 4), "F32")


def _pair(module: str, end: str = "weight") -> list[TensorInfo]:
    return [_tensor(f"{module}.lora_A.{end}", 2, 8), _tensor(f"{module}.lora_B.{end}", 6, 2)]


@pytest.mark.parametrize("end", ["weight", "default.weight", "my-adapter.weight"])
def test_pairs_are_found_with_and_without_an_adapter_name(end: str) -> None:
    (pair,) = sort_tensors(_pair("layers.0.q", end)).pairs
    assert pair.module == "layers.0.q"
    assert (pair.a.shape, pair.b.shape) == ((2, 8), (6, 2))


def test_pairs_keep_the_order_of_the_file() -> None:
    sorting = sort_tensors([*_pair("b"), *_pair("a"), *_pair("c")])
    assert [pair.module for pair in sorting.pairs] == ["b", "a", "c"]


def test_factors_apart_in_the_file_meet() -> None:
    (a, b), (c, d) = _pair("x"), _pair("y")
    assert {pair.module for pair in sort_tensors([a, c, d, b]).pairs} == {"x", "y"}


@pytest.mark.parametrize("side", [0, 1])
def test_half_a_pair_is_incomplete(side: int) -> None:
    tensor = _pair("x")[side]
    sorting = sort_tensors([tensor])
    assert (sorting.pairs, sorting.incomplete) == ((), (tensor,))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("q.lora_magnitude_vector", TensorKind.DORA_MAGNITUDE),
        ("q.lora_magnitude_vector.weight", TensorKind.DORA_MAGNITUDE),
        ("embed.lora_embedding_A", TensorKind.EMBEDDING_FACTOR),
        ("embed.lora_embedding_B.default", TensorKind.EMBEDDING_FACTOR),
        ("q.lora_E", TensorKind.ADALORA),
        ("q.ranknum", TensorKind.ADALORA),
        ("q.lora_B.bias", TensorKind.LORA_BIAS),
        ("q.lora_B.default.bias", TensorKind.LORA_BIAS),
        ("q.lora_A", TensorKind.UNREAD_FACTOR),
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
    assert sort_tensors([tensor]).others == ((tensor, kind),)


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (5, 2, 8), (8,), ()])
def test_factors_that_are_no_matrices_are_not_read(shape: tuple[int, ...]) -> None:
    tensor = TensorInfo(f"{PREFIX}conv.lora_A.weight", shape, "F32")
    assert sort_tensors([tensor]).others == ((tensor, TensorKind.UNREAD_FACTOR),)


def test_a_pair_stored_three_times_counts_once_in_its_plain_form() -> None:
    original = _pair("classifier.original_module")
    saved = _pair("classifier.modules_to_save.default")
    plain = _pair("classifier")
    sorting = sort_tensors([*original, *saved, *plain])
    assert [pair.a for pair in sorting.pairs] == [plain[0]]
    assert [pair.a for pair in sorting.copies] == [saved[0], original[0]]


def test_the_trained_copy_is_preferred_to_the_original() -> None:
    saved = _pair("classifier.modules_to_save")
    sorting = sort_tensors([*_pair("classifier.original_module"), *saved])
    assert sorting.pairs[0].a == saved[0]


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
    ],
)
def test_base_names_lose_prefix_and_wrappers(raw: str, name: str) -> None:
    assert base_module_name(raw) == name


def test_no_tensor_is_lost() -> None:
    tensors = [*_pair("a"), *_pair("a.original_module"), _pair("b")[0], _tensor("c.bias")]
    found = sort_tensors(tensors)
    pairs = (*found.pairs, *found.copies)
    counted = 2 * len(pairs) + len(found.incomplete) + len(found.others)
    assert counted == len(tensors)


def test_pairs_of_a_second_adapter_are_told_apart() -> None:
    found = sort_tensors(
        TensorInfo(f"base_model.model.q.lora_{side}.{name}.weight", shape, "F32")
        for name in ("default", "other")
        for side, shape in (("A", (2, 4)), ("B", (4, 2)))
    )
    assert [pair.a.name for pair in found.pairs] == ["base_model.model.q.lora_A.default.weight"]
    assert [p.a.name for p in found.other_adapters] == ["base_model.model.q.lora_A.other.weight"]
    assert found.copies == ()


def test_an_unknown_lora_tensor_is_no_saved_module() -> None:
    tensor = TensorInfo("base_model.model.q.lora_diag", (2,), "F32")
    assert sort_tensors([tensor]).others == ((tensor, TensorKind.UNREAD_FACTOR),)


def test_the_module_of_a_lora_tensor_is_what_stands_before_lora() -> None:
    assert lora_module("base_model.model.embed.lora_embedding_A") == "embed"
    assert lora_module("base_model.model.head.weight") is None
