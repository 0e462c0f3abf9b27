"""The tools' words in Hugging Face's."""

import pytest

from gradience.core.config.vocabulary import (
    Names,
    bitsandbytes,
    data_sets,
    dtype_name,
    enum_value,
    finetuning_type,
    is_on,
    mixed_precision,
    module_names,
    quantization,
    target_modules,
)


@pytest.mark.parametrize(
    ("written", "targets"),
    [
        ("all", "all-linear"),
        ("all-linear", "all-linear"),
        (("all-linear",), "all-linear"),
        (("q_proj", "all"), "all-linear"),
        ("q_proj, v_proj,", ("q_proj", "v_proj")),
        ("q_proj", ("q_proj",)),
        (r".*\.(q|v)_proj", r".*\.(q|v)_proj"),
        (r"model.layers.[0-9]{1,2}.self_attn", r"model.layers.[0-9]{1,2}.self_attn"),
        (("fc1", "fc2"), ("fc1", "fc2")),
        ((), None),
        (" , ", None),
        (None, None),
    ],
)
def test_targets_are_names_a_pattern_or_all_linear(written: Names, targets: Names) -> None:
    assert target_modules(written) == targets


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("OptimizerNames.PAGED_ADAMW", "paged_adamw"),
        ("cosine", "cosine"),
        ("my.Scheduler", "my.Scheduler"),
        (None, None),
    ],
)
def test_a_member_of_an_enum_is_its_value(word: str | None, value: str | None) -> None:
    assert enum_value(word) == value


def test_names_come_from_lists_and_strings() -> None:
    assert module_names("embed_tokens,lm_head") == ("embed_tokens", "lm_head")
    assert (module_names(("a ",)), module_names(None)) == (("a",), ())


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("bf16", "bfloat16"),
        ("torch.float16", "float16"),
        ("FP32", "float32"),
        ("auto", None),
        (None, None),
    ],
)
def test_a_dtype_has_one_name(word: str | None, name: str | None) -> None:
    assert dtype_name(word) == name


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        (("auto", None), "bfloat16"),
        ((True, False), "bfloat16"),
        ((False, True), "float16"),
        (("false", "true"), "float16"),
        ((None, None), None),
    ],
)
def test_mixed_precision(
    flags: tuple[bool | str | None, bool | str | None], dtype: str | None
) -> None:
    assert mixed_precision(bf16=flags[0], fp16=flags[1]) == dtype


def test_words_for_off_are_off() -> None:
    off: tuple[bool | str | None, ...] = ("no", " Off ", "0", "", False, None)
    assert not any(is_on(value) for value in off)
    assert is_on("auto")
    assert is_on("unsloth")


@pytest.mark.parametrize(
    ("method", "bits", "found"),
    [
        ("lora", 4, "qlora"),
        ("lora", 3, "qlora"),
        ("qlora", 8, "lora"),
        ("lora", None, "lora"),
        ("qlora", None, "qlora"),
        ("full", 4, "full"),
    ],
)
def test_lora_on_a_four_bit_base_is_qlora(method: str, bits: int | None, found: str) -> None:
    assert finetuning_type(method, bits) == found


def test_data_sets_lose_their_folders() -> None:
    assert data_sets(["/home/ann/data.json", "org/set", None, "org/set"]) == "data.json,org/set"
    assert data_sets([]) is None


def test_a_quantised_base_is_described_by_what_is_known() -> None:
    assert quantization(None, "gptq") == {"scheme": "gptq"}
    assert quantization(None, None) is None
    assert bitsandbytes(four=True, eight=None, quant_type="fp4", compute_dtype="bf16") == {
        "bits": 4,
        "scheme": "fp4",
        "compute_dtype": "bfloat16",
    }
    assert bitsandbytes(four=False, eight=True) == {"bits": 8, "scheme": "int8"}
    assert bitsandbytes(four=False, eight=False) is None
