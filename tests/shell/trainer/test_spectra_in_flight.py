"""Spectra recorded while a real Trainer trains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from transformers import TrainerCallback

from gradience.core.errors import ConfigError
from gradience.core.telemetry.encode import encode_event
from gradience.shell.trainer.lora_updates import live_updates
from gradience.shell.trainer.spectra_in_flight import (
    SpectraInFlight,
    fetch,
    partial_grams,
    update_grams,
)
from gradience.vnext.telemetry import TelemetryWriter
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.dense_oracle import naive_energy_rank, naive_stable_rank
from tests.shell.trainer.part_driver import PartDriver
from tests.shell.trainer.tiny_trainer import tiny_model, tiny_trainer

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]


def trained(out: Path, driver: PartDriver, rank: int = 4) -> PeftModel:
    model = tiny_model(rank)
    tiny_trainer(out, driver, model=model).train()
    return model


def mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def test_spectra_are_recorded_every_so_many_steps(tmp_path: Path) -> None:
    driver = PartDriver(SpectraInFlight(3))
    trained(tmp_path, driver)
    assert [(step, kind) for step, kind, _ in driver.metrics] == [(3, "spectral"), (6, "spectral")]
    assert driver.alerts == []
    assert driver.part.log_fields() == {}


def test_quantities_are_those_of_pefts_update(tmp_path: Path) -> None:
    driver = PartDriver(SpectraInFlight(8))
    model = trained(tmp_path, driver)
    ((_, _, metrics),) = driver.metrics
    rows = mapping(metrics["modules"])
    assert list(rows) == [
        "distilbert.transformer.layer.0.attention.q_lin",
        "distilbert.transformer.layer.0.attention.v_lin",
    ]
    for name, row in rows.items():
        layer = model.get_submodule(f"base_model.model.{name}")
        assert isinstance(layer, LoraLinear)
        delta = layer.get_delta_weight("default")
        sigma = np.linalg.svd(delta.detach().double().numpy(), compute_uv=False)
        found = mapping(row)
        assert found["delta_sigma_max"] == pytest.approx(sigma[0], rel=1e-5)
        assert found["stable_rank"] == pytest.approx(naive_stable_rank(sigma), rel=1e-4)
        assert found["delta_fro_norm"] == pytest.approx(float(np.linalg.norm(sigma)), rel=1e-5)
        assert found["energy_rank_90"] == naive_energy_rank(sigma, 0.9)
    assert mapping(metrics["summary"])["n_modules"] == 2


def test_weights_are_the_same_to_the_last_bit_and_so_are_random_numbers(tmp_path: Path) -> None:
    with_spectra = trained(tmp_path, PartDriver(SpectraInFlight(1)))
    after_with = torch.get_rng_state()
    plain = tiny_model(4)
    tiny_trainer(tmp_path, TrainerCallback(), model=plain).train()
    pairs = zip(with_spectra.parameters(), plain.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(after_with, torch.get_rng_state())


def test_an_untrained_model_is_said_to_be_one() -> None:
    rows = mapping(SpectraInFlight(1).look(tiny_model())["modules"])
    assert {mapping(row)["status"] for row in rows.values()} == {"untrained"}


def test_damaged_weights_are_said_to_be_so() -> None:
    model = tiny_model()
    name, parameter = next((n, p) for n, p in model.named_parameters() if "lora_A" in n)
    with torch.no_grad():
        parameter[0, 0] = torch.nan
    rows = mapping(SpectraInFlight(1).look(model)["modules"])
    damaged = [module for module in rows if mapping(rows[module])["status"] == "nonfinite"]
    assert len(damaged) == 1
    assert damaged[0] in name


def test_a_model_without_lora_has_an_empty_record() -> None:
    metrics = SpectraInFlight(1).look(torch.nn.Linear(2, 2))
    assert metrics["modules"] == {}
    assert metrics["summary"] == {"n_modules": 0}


def test_the_record_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with TelemetryWriter(path) as writer:
        writer.metrics(5, kind="spectral", metrics=SpectraInFlight(1).look(tiny_model()))
    reader = TelemetryReader(path)
    (event,) = reader.iter_events()
    assert reader.validate() == ()
    assert b'"spectral"' in encode_event(event)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_gram_matrices_are_summed_in_float64(dtype: torch.dtype) -> None:
    rows = torch.randn(3, 700, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = rows.double().numpy() @ rows.double().numpy().T
    (found,) = fetch([partial_grams(rows)])
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-11)


def test_without_float64_blocks_are_summed_in_float64() -> None:
    rows = torch.randn(3, 700, generator=torch.Generator().manual_seed(0))
    partial = partial_grams(rows, float64=False)
    assert (partial.dtype, tuple(partial.shape)) == (torch.float32, (3, 3, 3))
    (found,) = fetch([partial])
    assert found.dtype == np.float64
    np.testing.assert_allclose(
        found, rows.double().numpy() @ rows.double().numpy().T, rtol=1e-5, atol=1e-4
    )


def test_matrices_of_several_dtypes_keep_their_places() -> None:
    wide, narrow = torch.full((1, 2, 2), 2.0, dtype=torch.float64), torch.ones(3, 1, 1)
    found = fetch([wide, narrow, wide * 2])
    assert [gram.tolist() for gram in found] == [[[2.0] * 2] * 2, [[3.0]], [[4.0] * 2] * 2]
    assert fetch([]) == []


def test_one_transfer_for_all_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[int] = []
    plain = torch.Tensor.cpu

    def counted(tensor: torch.Tensor) -> torch.Tensor:
        moved.append(tensor.numel())
        return plain(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", counted)
    SpectraInFlight(1).look(tiny_model(3))
    assert moved == [2 * 2 * 9]


def test_reductions_hold_no_graph() -> None:
    for update in live_updates(tiny_model()).updates:
        assert not any(gram.requires_grad for gram in update_grams(update))


def test_an_interval_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"every 0 steps: expected a number of at least 1"):
        SpectraInFlight(0)
