"""Laws of reading: whatever tool wrote the file, the numbers are those of the dense update."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import ml_dtypes
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tests.adapter_files import names_in, rows_of

from gradience.api import audit, audit_lora_state_dict
from gradience.core.adapter.cloneofsimo_layout import read_cloneofsimo
from gradience.core.adapter.diffusers_layout import read_diffusers
from gradience.core.adapter.factors import update_factors
from gradience.core.adapter.kohya_layout import read_kohya
from gradience.core.adapter.mlx_layout import read_mlx
from gradience.core.adapter.peft_config import peft_lora_config
from gradience.core.adapter.peft_layout import read_peft
from gradience.core.adapter.tensors import AdapterContents, TensorInfo
from gradience.core.audit.pair_problems import is_pruned, pair_problem
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import LayerRow, ModuleStatus
from property_tests.factors import SEEDS, Floats, assert_close

Array = NDArray[Any]

DTYPES = (
    np.float64,
    np.float32,
    np.float16,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2,
)
MOST_VALUES = 64


class Stored(NamedTuple):
    """An adapter in memory, and its updates multiplied out."""

    state: dict[str, Array]
    config: dict[str, object] | None
    dense: dict[str, Floats]
    """Row → s·B·A in float64."""
    metadata: dict[str, str] | None = None


class Pair(NamedTuple):
    """A (r, d_in) and B (d_out, r), as some dtype holds them."""

    a: Array
    b: Array

    def product(self) -> Floats:
        """B·A in float64, entry by entry sums of the widened factors."""
        wide: Floats = self.b.astype(np.float64) @ self.a.astype(np.float64)
        return wide


@st.composite
def pairs(draw: st.DrawFn, r: int, d_in: int, d_out: int) -> Pair:
    """Gaussian, of deficient rank, or with a zero factor, in any dtype."""
    dtype = draw(st.sampled_from(DTYPES))
    generator = np.random.default_rng(draw(SEEDS))
    a, b = generator.standard_normal((r, d_in)), generator.standard_normal((d_out, r))
    kind = draw(st.sampled_from(["full", "full", "repeated", "sparse", "zero"]))
    if kind == "repeated":
        a[r // 2 :] = a[0]
    elif kind == "sparse":
        b[:, r // 2 :] = 0
    elif kind == "zero":
        b[:] = 0
    return Pair(a.astype(dtype), b.astype(dtype))


RANKS, EXTENTS = st.integers(1, 5), st.integers(1, 14)
ALPHAS = st.sampled_from([0.5, 1.0, 6.0, 16.0])


@st.composite
def modules(draw: st.DrawFn, kernel: int = 1) -> dict[str, Pair]:
    """One to three modules; the input's extent is a multiple of the kernel's."""
    found = {}
    for layer in range(draw(st.integers(1, 3))):
        r, d_in, d_out = draw(RANKS), kernel * draw(EXTENTS), draw(EXTENTS)
        found[f"layers.{layer}.attn.to_q"] = draw(pairs(r, d_in, d_out))
    return found


@st.composite
def peft(draw: st.DrawFn) -> Stored:
    """PEFT's names with prefix and adapter name, patterns, rsLoRA."""
    found = draw(modules())
    end = draw(st.sampled_from([".weight", ".default.weight"]))
    prefix = draw(st.sampled_from(["base_model.model.", "base_model.model.base_model.model."]))
    alphas = {f"^{name}": draw(ALPHAS) for name in found}
    use_rslora = draw(st.booleans())
    config: dict[str, object] = {
        "peft_type": "LORA",
        "rank_pattern": {f"^{name}": pair.a.shape[0] for name, pair in found.items()},
        "alpha_pattern": alphas,
        "use_rslora": use_rslora,
    }
    state, dense = {}, {}
    for name, pair in found.items():
        r = pair.a.shape[0]
        state[f"{prefix}{name}.lora_A{end}"], state[f"{prefix}{name}.lora_B{end}"] = pair
        dense[name] = alphas[f"^{name}"] / (r**0.5 if use_rslora else r) * pair.product()
    return Stored(state, config, dense)


@st.composite
def kohya(draw: st.DrawFn) -> Stored:
    """Kohya's names; 3 x 3 kernels, alphas for all, some or none."""
    kernel = draw(st.sampled_from([1, 9]))
    state: dict[str, Array] = {}
    dense = {}
    for name, (a, b) in draw(modules(kernel)).items():
        module = "lora_unet_" + name.replace(".", "_")
        r, d_in = a.shape
        shapes = ((r, d_in), b.shape) if kernel == 1 else ((r, -1, 3, 3), (*b.shape, 1, 1))
        state[f"{module}.lora_down.weight"] = a.reshape(shapes[0])
        state[f"{module}.lora_up.weight"] = b.reshape(shapes[1])
        alpha = draw(st.one_of(st.none(), ALPHAS))
        if alpha is not None:
            state[f"{module}.alpha"] = np.array(alpha, dtype=np.float32)
        dense[module] = (1.0 if alpha is None else alpha / r) * Pair(a, b).product()
    return Stored(state, None, dense)


@st.composite
def diffusers(draw: st.DrawFn) -> Stored:
    """Diffusers' new form and the three old ones, all of scale 1 or with an alpha."""
    down, up = draw(
        st.sampled_from(
            [
                (".lora_A.weight", ".lora_B.weight"),
                (".lora.down.weight", ".lora.up.weight"),
                ("_lora.down.weight", "_lora.up.weight"),
                (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
            ]
        )
    )
    state, dense = {}, {}
    for name, pair in draw(modules()).items():
        module, alpha = f"unet.{name}", draw(st.one_of(st.none(), ALPHAS))
        state[module + down], state[module + up] = pair
        if alpha is not None:
            state[f"{module}.alpha"] = np.array([alpha])
        dense[module] = (1.0 if alpha is None else alpha / pair.a.shape[0]) * pair.product()
    return Stored(state, None, dense)


@st.composite
def diffusers_header(draw: st.DrawFn) -> Stored:
    """Diffusers' new form with the configuration in the header, patterns and rsLoRA included."""
    found = draw(modules())
    alphas, use_rslora = {f"^{name}": draw(ALPHAS) for name in found}, draw(st.booleans())
    settings = {
        "unet.r": 1,
        "unet.rank_pattern": {f"^{name}": pair.a.shape[0] for name, pair in found.items()},
        "unet.alpha_pattern": alphas,
        "unet.use_rslora": use_rslora,
    }
    state, dense = {}, {}
    for name, pair in found.items():
        r = pair.a.shape[0]
        state[f"unet.{name}.lora_A.weight"], state[f"unet.{name}.lora_B.weight"] = pair
        scale = alphas[f"^{name}"] / (r**0.5 if use_rslora else r)
        dense[f"unet.{name}"] = scale * pair.product()
    return Stored(state, None, dense, {"lora_adapter_metadata": json.dumps(settings)})


@st.composite
def cloneofsimo(draw: st.DrawFn) -> Stored:
    """Numbered modules of scale 1."""
    state, dense = {}, {}
    for number, pair in enumerate(draw(modules()).values()):
        state[f"unet:{number}:up"], state[f"unet:{number}:down"] = pair.b, pair.a
        dense[f"unet:{number}"] = pair.product()
    return Stored(state, None, dense)


@st.composite
def mlx(draw: st.DrawFn) -> Stored:
    """mlx-lm's transposed factors."""
    scale = draw(ALPHAS)
    config: dict[str, object] = {"lora_parameters": {"rank": 4, "scale": scale}}
    state, dense = {}, {}
    for name, pair in draw(modules()).items():
        state[f"{name}.lora_a"], state[f"{name}.lora_b"] = pair.a.T, pair.b.T
        dense[name] = scale * pair.product()
    return Stored(state, config, dense)


@st.composite
def mlx_experts(draw: st.DrawFn) -> Stored:
    """mlx-lm's stacks of experts (r of at least 2: a stack of rank 1 cannot be told apart)."""
    r, d_in, d_out = draw(st.integers(2, 5)), draw(EXTENTS), draw(EXTENTS)
    experts = [draw(pairs(r, d_in, d_out)) for _ in range(draw(st.integers(1, 3)))]
    dtype = experts[0].a.dtype
    experts = [Pair(pair.a.astype(dtype), pair.b.astype(dtype)) for pair in experts]
    state = {
        "layers.0.mlp.switch_mlp.up_proj.lora_a": np.stack([pair.a for pair in experts]),
        "layers.0.mlp.switch_mlp.up_proj.lora_b": np.stack([pair.b for pair in experts]),
    }
    dense = {
        f"layers.0.mlp.switch_mlp.up_proj[{i}]": 2.0 * pair.product()
        for i, pair in enumerate(experts)
    }
    return Stored(state, {"lora_parameters": {"scale": 2.0}}, dense)


LAYOUTS: Mapping[str, Callable[[], st.SearchStrategy[Stored]]] = {
    "PEFT": peft,
    "kohya": kohya,
    "diffusers": diffusers,
    "diffusers header": diffusers_header,
    "cloneofsimo": cloneofsimo,
    "mlx-lm": mlx,
    "mlx-lm experts": mlx_experts,
}


def adapters() -> st.SearchStrategy[Stored]:
    """An adapter in any layout that needs no header."""
    return st.one_of(*(make() for make in LAYOUTS.values() if make is not diffusers_header))


def _audit_file(adapter: Stored) -> dict[str, LayerRow]:
    """The rows of the audit of a file, with all singular values."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        state = {key: np.ascontiguousarray(array) for key, array in adapter.state.items()}
        save_file(state, folder / "lora.safetensors", metadata=adapter.metadata)
        if adapter.config is not None:
            (folder / "adapter_config.json").write_text(json.dumps(adapter.config))
        report = audit(folder, policy=AuditPolicy(layers=True), top_singular_values=MOST_VALUES)
    return rows_of(report)


def _assert_dense(rows: Mapping[str, LayerRow], dense: Mapping[str, Floats]) -> None:
    assert set(rows) == set(dense)
    for name, update in dense.items():
        row, kept = rows[name], min(*update.shape, rows[name].r)
        if not update.any():
            assert row.status is ModuleStatus.UNTRAINED
            continue
        sigma: Floats = np.linalg.svd(update, compute_uv=False)[:kept].astype(np.float64)
        assert (row.b_shape[0], row.a_shape[1]) == update.shape
        assert_close(np.array(row.top_singular_values), sigma)
        assert row.delta_fro_norm == pytest.approx(float(np.linalg.norm(update)), rel=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data())
def test_the_streamed_path_equals_the_dense_update(layout: str, data: st.DataObject) -> None:
    adapter = data.draw(LAYOUTS[layout]())
    _assert_dense(_audit_file(adapter), adapter.dense)


@given(adapters())
def test_arrays_in_memory_give_the_same_rows_as_the_file(adapter: Stored) -> None:
    in_memory = rows_of(audit_lora_state_dict(adapter.state, adapter.config))
    without_values = {
        name: msgspec.structs.replace(row, top_singular_values=())
        for name, row in _audit_file(adapter).items()
    }
    assert in_memory == without_values


@given(adapters(), st.randoms(use_true_random=False))
def test_permuting_modules_permutes_rows_only(adapter: Stored, random: Random) -> None:
    names = list(adapter.state)
    random.shuffle(names)
    permuted = {name: adapter.state[name] for name in names}
    one = audit_lora_state_dict(adapter.state, adapter.config)
    two = audit_lora_state_dict(permuted, adapter.config)
    assert rows_of(one) == rows_of(two)
    assert one.total_lora_params == two.total_lora_params
    assert one.suggested_r_global_90 == two.suggested_r_global_90
    order = [min(names.index(row.a_key), names.index(row.b_key)) for row in rows_of(two).values()]
    assert order == sorted(order)


MODULES = ("q", "unet.q", "unet.attn.processor.q", "lora_unet_q", "q.base_layer", "unet:0",
           "base_model.model.q", "q.modules_to_save", "q.original_module", "x.experts")  # fmt: skip
ENDS = (
    ".lora_A.weight", ".lora_B.weight", ".lora_A", ".lora_B", ".lora_A.one.weight",
    ".lora_B.one.weight", ".lora_A.two.weight", ".lora_B.two.weight", ".lora_embedding_A",
    ".lora_embedding_B", ".lora_B.bias", ".lora_E", ".lora_E.one", ".lora_magnitude_vector",
    ".lora_down.weight", ".lora_up.weight", "_lora_down.weight", ".lora_mid.weight", ".alpha",
    ".lora.down.weight", ".lora.up.weight", "_lora.down.weight", "_lora.up.weight",
    ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight", ":up", ":down", ".lora_a",
    ".lora_b", ".m", ".hada_w1_a", ".diff", ".weight", ".bias", "",
)  # fmt: skip
FAMILIES = (
    (".lora_A.weight", ".lora_B.weight", ".lora_E"),
    (".lora_A.one.weight", ".lora_B.one.weight", ".lora_E.one"),
    (".lora_down.weight", ".lora_up.weight", ".alpha"),
    (".lora.down.weight", ".lora.up.weight"),
    (":down", ":up"),
    (".lora_a", ".lora_b"),
)
SHAPES = st.sampled_from([(), (4,), (4, 4), (8, 4), (4, 0), (2, 4, 4), (3, 4, 4), (4, 4, 3, 3)])


@st.composite
def files(draw: st.DrawFn) -> list[TensorInfo]:
    """Random mixtures of names of all layouts, each name once; whole families are likely."""
    names: set[str] = set()
    for module in draw(st.lists(st.sampled_from(MODULES), min_size=1, max_size=4)):
        family = st.sampled_from(FAMILIES)
        some = st.lists(st.sampled_from(ENDS), max_size=6)
        names |= {module + end for end in (*draw(family), *draw(some))}
    order = draw(st.permutations(sorted(names)))
    return [TensorInfo(name, draw(SHAPES), "F32") for name in order]


def _peft(tensors: list[TensorInfo]) -> AdapterContents:
    targets = ["experts.gate_up_proj", "experts.down_proj"]
    config = {"peft_type": "LORA", "r": 2, "target_parameters": targets}
    return read_peft(tensors, peft_lora_config(config, "config"), {})


def _adalora(tensors: list[TensorInfo]) -> AdapterContents:
    masks = {"q.lora_E": [True, False, False, True]}
    config = {"peft_type": "ADALORA", "rank_pattern": masks}
    return read_peft(tensors, peft_lora_config(config, "config"), {})


READERS: Mapping[str, Callable[[list[TensorInfo]], AdapterContents]] = {
    "PEFT": _peft,
    "AdaLoRA": _adalora,
    "kohya": lambda tensors: read_kohya(tensors, {}, {}),
    "diffusers": lambda tensors: read_diffusers(tensors, {}, {}),
    "cloneofsimo": read_cloneofsimo,
    "mlx-lm": lambda tensors: read_mlx(tensors, {"lora_parameters": {"scale": 1.0}}, "config"),
}


@pytest.mark.parametrize("reader", READERS)
@given(tensors=files())
def test_every_tensor_is_accounted_for_exactly_once(reader: str, tensors: list[TensorInfo]) -> None:
    contents = READERS[reader](tensors)
    assert sorted(names_in(contents)) == sorted(tensor.name for tensor in tensors)


@pytest.mark.parametrize("reader", READERS)
@given(tensors=files())
def test_every_pair_has_a_problem_or_factors_that_multiply(
    reader: str, tensors: list[TensorInfo]
) -> None:
    for pair in READERS[reader](tensors).pairs:
        if pair_problem(pair) is None and not is_pruned(pair):
            a, b = np.ones(pair.a.shape), np.ones(pair.b.shape)
            values = None if pair.values is None else np.ones(pair.values.shape)
            for update in update_factors(pair, a, b, values):
                assert (update.b @ update.a).shape == pair.update_shape
                assert update.a.shape[0] == pair.rank
