"""Damaged, absurd and hostile safetensors and configs end in a clear error or a finding."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradience.api import audit
from gradience.core.errors import AdapterError, ConfigError
from tests.adapter_files import Q_PROJ, factors, findings_of, write_modules
from tests.cli.run_cli import CliResult, run_cli
from tests.damaged_adapters import (
    A_KEY,
    B_KEY,
    assert_refused,
    audit_in_child,
    audited,
    entry,
    pair_header,
    safetensors_bytes,
    write_raw,
)

ONES = np.ones(4, np.float32).tobytes()
GOOD_A, GOOD_B = entry([1, 2], [0, 8]), entry([2, 1], [8, 16])
GOOD = safetensors_bytes(pair_header(GOOD_A, GOOD_B), ONES)
MANY = 10**6
FLIPS = 1500
SMALL_MIB = 200
"""Above what the interpreter with NumPy takes, below any blow-up."""


def _dumped(**tensors: object) -> bytes:
    return json.dumps({A_KEY: GOOD_A, B_KEY: GOOD_B, **tensors}).encode()


DAMAGED = {
    "negative_offset": pair_header(entry([1, 2], [-8, 0]), GOOD_B),
    "overlap": pair_header(GOOD_A, entry([2, 1], [0, 8])),
    "gap": pair_header(GOOD_A, entry([2, 1], [12, 20])),
    "reversed": pair_header(entry([1, 2], [8, 0]), GOOD_B),
    "huge_offset": pair_header(entry([1, 2], [0, 2**63]), GOOD_B),
    "overflowing_offset": pair_header(entry([1, 2], [2**64 - 8, 2**64]), GOOD_B),
    "huge_shape": pair_header(entry([2**40, 2**40], [0, 8]), GOOD_B),
    "overflowing_shape": pair_header(entry([2**32, 2**32], [0, 0]), entry([2, 1], [0, 8])),
    "negative_shape": pair_header(entry([-1, -2], [0, 8]), GOOD_B),
    "real_shape": pair_header(entry([1.0, 2.0], [0, 8]), GOOD_B),
    "unknown_dtype": pair_header(entry([1, 2], [0, 8], "F31"), GOOD_B),
    "dtype_of_another_kind": pair_header(entry([1, 2], [0, 8], 32), GOOD_B),
    "metadata_number": pair_header(GOOD_A, GOOD_B, __metadata__=3),
    "metadata_list": pair_header(GOOD_A, GOOD_B, __metadata__=["format"]),
    "metadata_values": pair_header(GOOD_A, GOOD_B, __metadata__={"format": 1}),
    "entries_of_another_kind": {A_KEY: 3, B_KEY: [1]},
    "a_list": [1, 2],
    "a_text": "tensors",
}
RAW = {
    "no_utf8": _dumped().replace(b".m.", b".\xff."),
    "half_a_surrogate": _dumped().replace(b".m.", b".\\ud800."),
    "deep_objects": b'{"a":' * MANY,
    "deep_lists": b"[" * MANY,
    "deep_within_an_entry": _dumped().replace(b'"F32"', b'"F32","x":' + b"[" * MANY, 1),
    "a_field_twice": _dumped().replace(b'"dtype"', b'"dtype":"I32","dtype"'),
    "a_tensor_twice": b"{" + _dumped()[1:-1] + b"," + _dumped(**{A_KEY: entry([1], [16, 20])})[1:],
}
DAMAGED_FILES = (
    {name: safetensors_bytes(header, ONES) for name, header in DAMAGED.items()}
    | {name: safetensors_bytes(None, ONES, raw=raw) for name, raw in RAW.items()}
    | {
        f"header_of_{length}_bytes": safetensors_bytes(None, ONES, raw=_dumped(), length=length)
        for length in (0, 1, 99_999_999, 2**63, 2**64 - 1)
    }
)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., CliResult]:
    def run(*args: object) -> CliResult:
        return run_cli(capsys, *args)

    return run


@pytest.mark.parametrize("data", DAMAGED_FILES.values(), ids=DAMAGED_FILES)
def test_a_damaged_header_is_refused_by_the_command(
    tmp_path: Path, cli: Callable[..., CliResult], data: bytes
) -> None:
    folder = write_raw(tmp_path / "adapter", data)
    result = cli("audit", folder)
    assert_refused(result)
    assert "adapter_model.safetensors: expected a safetensors file" in result.err


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    assert audit(write_raw(tmp_path / "adapter", GOOD)).n_layers == 1
    for kept in range(len(GOOD)):
        with pytest.raises(AdapterError, match=r"adapter_model\.safetensors"):
            audit(write_raw(tmp_path / "adapter", GOOD[:kept]))


def test_flipped_bits_end_in_an_error_or_a_report(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    reports = 0
    for _ in range(FLIPS):
        data = bytearray(GOOD)
        for _ in range(generator.choice([1, 1, 2, 5])):
            data[generator.integers(len(data) - len(ONES))] ^= 1 << int(generator.integers(8))
        reports += audited(write_raw(tmp_path / "adapter", bytes(data))) is not None
    assert 0 < reports < FLIPS


@pytest.mark.parametrize(("kind", "bits"), [(np.float32, 0x7F800001), (np.float16, 0x7C01)])
def test_a_signalling_nan_is_a_finding(tmp_path: Path, kind: type[np.floating], bits: int) -> None:
    a, b = (factor.astype(kind) for factor in factors())
    a.reshape(-1)[:1].view(f"u{a.itemsize}")[0] = bits
    for exact in (True, False):
        report = audit(write_modules(tmp_path, {Q_PROJ: (a, b)}), exact=exact)
        assert "1 in lora_A" in findings_of(report)["nonfinite_factor"].message


@pytest.mark.parametrize("dtype", ["BOOL", "I8", "U16", "F8_E8M0", "F4", "F6_E2M3", "C64"])
def test_factors_that_are_no_numbers_are_a_finding(tmp_path: Path, dtype: str) -> None:
    bits = {"U16": 16, "F4": 4, "F6_E2M3": 6, "C64": 64}.get(dtype, 8)
    header = pair_header(entry([1, 8], [0, bits], dtype), entry([8, 1], [bits, 2 * bits], dtype))
    report = audit(write_raw(tmp_path / "adapter", safetensors_bytes(header, b"\1" * 2 * bits)))
    assert dtype in findings_of(report)["unreadable_pair"].message


@pytest.mark.parametrize(
    ("a", "b"),
    [([0, 2**62], [2**62, 0]), ([2**62, 0, 2**62], [2, 2**62, 0]), ([0, 0], [0, 0])],
    ids=str,
)
def test_empty_tensors_of_huge_shapes_are_a_finding(
    tmp_path: Path, a: list[int], b: list[int]
) -> None:
    header = pair_header(entry(a, [0, 0]), entry(b, [0, 0]))
    report = audit(write_raw(tmp_path / "adapter", safetensors_bytes(header)))
    assert "are empty" in findings_of(report)["unreadable_pair"].message


def test_a_tensor_of_too_many_dimensions_is_named(tmp_path: Path) -> None:
    header = pair_header(entry([1] * 100, [0, 4]), entry([1] * 100, [4, 8]))
    with pytest.raises(AdapterError, match=r"tensor .*lora_A.*dimension"):
        audit(write_raw(tmp_path / "adapter", safetensors_bytes(header, ONES[:8])))


def _square(rank: int, size: int, *, experts: int = 0) -> bytes:
    stack = [experts] if experts else []
    count = 4 * rank * size * max(experts, 1)
    header = pair_header(
        entry([*stack, rank, size], [0, count]), entry([*stack, size, rank], [count, 2 * count])
    )
    return safetensors_bytes(header, bytes(2 * count))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_square(MANY, 1), "beyond any LoRA"),
        (_square(4096, 1), "beyond both sides"),
        (_square(2, 1, experts=MANY), "experts are beyond any model"),
    ],
    ids=["rank_1e6", "rank_4096_of_vectors", "experts_1e6"],
)
def test_absurd_ranks_cost_no_memory(tmp_path: Path, data: bytes, words: str) -> None:
    folder = write_raw(tmp_path / "adapter", data)
    result = audit_in_child(folder, "--rank-policies", "all")
    assert result.code == 1
    assert words in result.out
    assert result.err == ""
    assert result.peak_mib < SMALL_MIB


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"r": 0}, "ranks of at least 1"),
        ({"r": -4}, "ranks of at least 1"),
        ({"r": float("nan")}, "a whole number"),
        ({"r": 10**400}, "too large"),
        ({"rank_pattern": {"q_proj": 0}}, "ranks of at least 1"),
        ({"lora_alpha": float("nan")}, "finite numbers"),
        ({"lora_alpha": 10**400}, "too large"),
        ({"r": [1], "lora_alpha": {}, "rank_pattern": [1], "bias": 3}, "a mapping"),
        ({"layer_replication": "x"}, "pairs of layer numbers"),
        ({"peft_type": ["LORA"]}, "a string under 'peft_type'"),
        ({"rank_pattern": {"(q_proj": 4}}, "regular expression"),
        ({"rank_pattern": {"a{99999999999}": 4}}, "regular expression"),
        ({"rank_pattern": {"(" * 5000 + ")" * 5000: 4}}, "regular expression"),
        ({"init_lora_weights": "pissa/../../elsewhere"}, "--initial-adapter"),
        ({"init_lora_weights": "pissa" + "x" * 5000}, "--initial-adapter"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_hostile_config_is_refused_by_the_command(
    tmp_path: Path, cli: Callable[..., CliResult], changes: dict[str, object], words: str
) -> None:
    result = cli("audit", write_modules(tmp_path, {Q_PROJ: factors()}, **changes))
    assert_refused(result)
    assert words in result.err


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"lora_alpha": 1e308}, "scale_overflow"),
        ({"alpha_pattern": {"q_proj": 1e308}}, "scale_overflow"),
        ({"lora_alpha": 0}, "zero_scale"),
        ({"lora_alpha": 5e-324}, "zero_scale"),
        ({"rank_pattern": {"q_proj": 10**30}}, "rank_mismatch"),
        ({"r": 10**30, "use_rslora": True}, "rank_mismatch"),
        ({"target_modules": ["y" * MANY]}, "target_unmatched"),
        ({"rank_pattern": {"((a{100}){100}){100}": 4}}, "in good time"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_absurd_values_are_findings_or_refused(
    tmp_path: Path, changes: dict[str, object], code: str
) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()}, **changes)
    try:
        assert code in findings_of(audit(folder))
    except ConfigError as error:
        assert code in str(error)


def test_a_negative_alpha_counts_by_its_size(tmp_path: Path) -> None:
    plain = audit(write_modules(tmp_path / "a", {Q_PROJ: factors()}, lora_alpha=8))
    negative = audit(write_modules(tmp_path / "b", {Q_PROJ: factors()}, lora_alpha=-8))
    assert negative.delta_sigma_max_scaled_mean == plain.delta_sigma_max_scaled_mean


@pytest.mark.parametrize("key", ["(a+)+$", "(.*)*x", "(a|a)*!b", ".*" * 30 + "x", "a?" * 40])
@pytest.mark.parametrize("field", ["rank_pattern", "alpha_pattern"])
def test_a_key_that_would_never_end_is_refused(tmp_path: Path, key: str, field: str) -> None:
    modules = {"m." + "a" * 60 + "!": factors()}
    with pytest.raises(ConfigError, match=r"in good time.*PEFT itself may hang"):
        audit(write_modules(tmp_path, modules, **{field: {key: 4}}))


@pytest.mark.parametrize("text", [b'{"a":' * MANY, b"[" * MANY, b'{"peft_type":"LORA","r":"\xff"}'])
def test_a_config_that_does_not_parse_is_refused(tmp_path: Path, text: bytes) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()})
    (folder / "adapter_config.json").write_bytes(text)
    with pytest.raises(ConfigError, match=r"adapter_config\.json: expected JSON"):
        audit(folder)


def _layer_of(digits: int) -> str:
    return f"model.layers.{'1' * digits}.q_proj"


@pytest.mark.parametrize(
    "name", [_layer_of(400), _layer_of(5000), "x" * MANY, ".lora_A" * 1000, "layers.1." * 1000]
)
def test_absurd_names_are_read(tmp_path: Path, name: str) -> None:
    assert audit(write_modules(tmp_path, {name: factors()})).n_layers == 1


@pytest.mark.parametrize("number", [-1e-5, 0.0, -3.0, np.nan, np.inf])
def test_any_rank_number_of_adalora_is_survived(tmp_path: Path, number: float) -> None:
    a, b = factors()
    tensors = {"lora_A": a, "lora_B": b, "lora_E": np.ones((4, 1)), "ranknum": np.array([number])}
    folder = write_modules(tmp_path, {Q_PROJ: (a, b)}, peft_type="ADALORA")
    from safetensors.numpy import save_file

    state = {f"base_model.model.{Q_PROJ}.{name}": array for name, array in tensors.items()}
    save_file(state, folder / "adapter_model.safetensors")
    assert audit(folder).n_layers == 1


def test_a_pair_pruned_by_its_mask_alone_is_pruned(tmp_path: Path) -> None:
    masks = {f"{Q_PROJ}.lora_E": [False] * 4}
    folder = write_modules(tmp_path, {Q_PROJ: factors()}, peft_type="ADALORA", rank_pattern=masks)
    assert audit(folder).stable_rank_mean is None
