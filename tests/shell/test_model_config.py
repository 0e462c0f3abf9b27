"""A model's config.json at a path or in the cache; nothing is asked of a network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gradience.core.architecture.modules import Architecture
from gradience.shell.model_config import find_model_config, hub_cache, load_architecture
from tests.meta_models import DECODER, Config

LLAMA: Config = DECODER | {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def write(path: Path, config: Config = LLAMA) -> Path:
    """Writes a config.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config))
    return path


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "model" / "config.json")
    assert find_model_config(str(path)) == find_model_config(str(path.parent)) == path
    found = load_architecture(str(path.parent))
    assert isinstance(found, Architecture)
    assert found.model_type == "llama"
    renamed = write(tmp_path / "llama-config.json")
    assert isinstance(load_architecture(str(renamed)), Architecture)


def test_the_main_revision_of_a_cached_model(cache: Path) -> None:
    repository = cache / "models--org--model"
    main = write(repository / "snapshots" / "abc" / "config.json")
    write(repository / "snapshots" / "older" / "config.json")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert find_model_config("org/model") == main
    (repository / "refs" / "main").write_text("gone")
    assert find_model_config("org/model") is not None
    assert isinstance(load_architecture("org/model"), Architecture)


@pytest.mark.parametrize(
    ("variable", "below"),
    [
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ],
)
def test_the_cache_is_where_huggingface_hub_has_it(
    variable: str, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in VARIABLES:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert hub_cache() == tmp_path / below
    script = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
    asked = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert Path(asked.stdout.strip()) == hub_cache()


@pytest.mark.parametrize(
    "name",
    ["model", "org/model", "a/b/c", "../secret", "/private/place/model", "x\0y", "~nobody/x"],
)
def test_a_model_that_is_not_here_is_said_without_its_path(name: str) -> None:
    found = load_architecture(name)
    assert isinstance(found, str)
    assert "nothing is downloaded" in found
    assert "private" not in found


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    found = load_architecture(str(tmp_path))
    assert isinstance(found, str)
    assert str(tmp_path) not in found


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
def test_a_damaged_config(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    found = load_architecture(str(path))
    assert isinstance(found, str)
    assert found.startswith("config.json: expected")
    assert str(tmp_path) not in found


def test_weights_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\0" * 64)
    found = load_architecture(str(path))
    assert isinstance(found, str)
    assert "expected a config.json" in found


def test_a_described_model_needs_neither_torch_nor_transformers(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json")
    script = (
        "import sys; from gradience.shell.model_config import load_architecture as load;"
        f"print(load({str(path)!r}).size, [m for m in ('torch', 'transformers', 'huggingface_hub')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split(" ", 1)[1].strip() == "[]"


def test_without_transformers_a_model_that_is_not_described_stays_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradience.shell.model_config.find_spec", lambda _: None)
    found = load_architecture(str(write(tmp_path / "config.json", {"model_type": "olmoe"})))
    assert found == (
        "the modules of model type 'olmoe' are not described; where transformers is installed, "
        "it is asked"
    )
