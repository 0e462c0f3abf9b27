"""Finding an adapter's files, and refusing what is no PEFT adapter by its name."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gradience.core.errors import AdapterError, ConfigError, UnsupportedAdapterError
from gradience.shell.adapters.folder import find_config, find_weights, load_adapter_config
from tests.adapter_files import Q_PROJ, factors, write_modules


def test_both_files_are_found(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, {Q_PROJ: factors()})
    assert find_config(folder).name == "adapter_config.json"
    assert find_weights(folder).name == "adapter_model.safetensors"


def test_safetensors_are_preferred_to_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"x")
    assert find_weights(tmp_path).suffix == ".bin"
    (tmp_path / "adapter_model.safetensors").write_bytes(b"x")
    assert find_weights(tmp_path).suffix == ".safetensors"


def test_files_that_lie_elsewhere_are_taken(tmp_path: Path) -> None:
    elsewhere = tmp_path / "other.json"
    elsewhere.write_text("{}")
    assert find_config(tmp_path, elsewhere) == elsewhere
    assert find_weights(tmp_path, elsewhere) == elsewhere


def test_a_missing_config_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"scale of the update is unknown.*--adapter-config"):
        find_config(tmp_path)


def test_missing_weights_tell_what_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(AdapterError, match=r"found notes\.txt"):
        find_weights(tmp_path)


@pytest.mark.parametrize(("make", "found"), [(False, "nothing"), (True, "a file")])
def test_what_is_no_folder_is_refused(tmp_path: Path, found: str, *, make: bool) -> None:
    path = tmp_path / "adapter"
    if make:
        path.write_text("")
    with pytest.raises(AdapterError, match=f"folder, found {found}"):
        find_config(path)


@pytest.mark.parametrize(
    ("tensor", "layout"),
    [("lora_unet_x.lora_down.weight", "kohya"), ("model.layers.0.q.lora_a", "mlx-lm")],
)
def test_other_layouts_are_refused_by_name(tmp_path: Path, tensor: str, layout: str) -> None:
    save_file({tensor: np.ones((2, 2))}, tmp_path / "weights.safetensors")
    with pytest.raises(UnsupportedAdapterError, match=layout):
        find_config(tmp_path)
    with pytest.raises(UnsupportedAdapterError, match=layout):
        find_weights(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"peft_type": "LORA"', "null"])
def test_a_damaged_config_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"adapter_config\.json"):
        load_adapter_config(path)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"lora_parameters": {"rank": 8}}, "mlx-lm"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"peft_type": "VERA"}, "VERA"),
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"peft_type": "LOKR"}, "LOKR"),
        ({"peft_type": "OFT"}, "OFT"),
        ({"peft_type": "ADALORA"}, "ADALORA"),
        ({"peft_type": "PROMPT_TUNING"}, "PROMPT_TUNING"),
        ({"peft_type": "LORA", "init_lora_weights": "pissa"}, "pissa"),
        ({"peft_type": "LORA", "init_lora_weights": "olora"}, "olora"),
        ({"peft_type": "LORA", "init_lora_weights": "lora_ga"}, "lora_ga"),
        ({"peft_type": "LORA", "init_lora_weights": "corda"}, "corda"),
    ],
)
def test_other_adapters_are_declined_by_name(
    tmp_path: Path, config: dict[str, object], name: str
) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(UnsupportedAdapterError, match=name):
        load_adapter_config(path)
