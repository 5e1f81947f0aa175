"""Models in a folder: a real one of model2vec, made here; sentence-transformers by the method that it is called by."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metier import Runtime
from metier.errors import ModelError, SetupMissing
from metier.library import Library
from metier.retrieval.index import CapabilityIndex
from metier.retrieval.local_models import LocalEmbedder, local_embedder
from tests.retrieval.test_index import LEAVE, SALARY

MEANINGS = {"[UNK]": (0, 0, 0), "salary": (1, 0, 0), "earns": (0.9, 0.1, 0), "days": (0, 1, 0), "off": (0, 0.9, 0.1)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A static model of five words."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(MEANINGS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    model = StaticModel(np.array(list(MEANINGS.values()), dtype=np.float32), tokenizer, {"normalize": False})
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_in_a_folder_embeds_and_finds(folder: Path) -> None:
    embedder = local_embedder(f"model2vec:{folder}")
    assert embedder is not None
    vectors = embedder.embed(["salary", "days off", "of unknown words"])
    assert vectors.shape == (3, 3)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0], abs=1e-5)
    assert embedder.embed([]).shape[0] == 0
    index = CapabilityIndex(None, embedder)
    index.refresh([LEAVE, SALARY])
    assert index.nearest("days off", 1)[0][0] == LEAVE.id
    assert index.nearest("earns", 1)[0][0] == SALARY.id


def test_the_settings_name_a_folder(folder: Path, tmp_path: Path) -> None:
    library = Library.create(tmp_path / "library")
    (library.path / "metier.toml").write_text(f'[model]\nembedding = "model2vec:{folder}"\n', encoding="utf-8")
    with Runtime.open(library.path) as runtime:
        assert runtime.nearest("salary") == []
        assert [vector.shape for vector in runtime.finder._embedder(f"model2vec:{folder}").embed(["salary"])] == [(3,)]


@pytest.mark.parametrize(("name", "told"), [("model2vec:/no/such", "there is no folder"), ("model2vec:{}", "no model")])
def test_a_folder_without_a_model_is_one_line(name: str, told: str, tmp_path: Path) -> None:
    embedder = local_embedder(name.format(tmp_path))
    assert embedder is not None
    with pytest.raises(SetupMissing, match=told) as raised:
        embedder.embed(["salary"])
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is not None, reason="sentence-transformers is installed"
)
def test_a_library_that_is_missing_is_named_with_its_extra() -> None:
    embedder = local_embedder("sentence-transformers:all-MiniLM-L6-v2")
    assert embedder is not None
    with pytest.raises(SetupMissing, match=r"pip install 'metier\[sentence-transformers\]'"):
        embedder.embed(["salary"])


class Lengths:
    """A model as sentence-transformers has them, that knows only how long a text is."""

    def __init__(self, answer: Any = None) -> None:
        self._answer = answer

    def encode(self, texts: list[str], /) -> Any:
        return self._answer if self._answer is not None else np.array([[len(text), 1.0] for text in texts])


def test_a_model_loads_once_and_at_the_first_text() -> None:
    loads: list[int] = []

    def load() -> Lengths:
        loads.append(1)
        return Lengths()

    embedder = LocalEmbedder("sentence-transformers:/models/lengths", load)
    assert loads == []
    embedder.embed(["a", "bb"])
    assert embedder.embed(["ccc"])[0] == pytest.approx(np.array([3, 1]) / 10**0.5)
    assert loads == [1]


@pytest.mark.parametrize("answer", [np.zeros(3), np.zeros((1, 2)), np.full((2, 2), np.nan)])
def test_nonsense_from_a_model_is_one_clear_line(answer: Any) -> None:
    with pytest.raises(ModelError, match="one row of finite numbers a text"):
        LocalEmbedder("sentence-transformers:/models/odd", lambda: Lengths(answer)).embed(["a", "b"])


@pytest.mark.parametrize("name", ["wordllama", "openai:text-embedding-3-small", "model2vec:", "model2vec"])
def test_other_names_are_somebody_elses(name: str) -> None:
    assert local_embedder(name) is None
