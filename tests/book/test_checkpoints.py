"""Checkpoints of others: which net they are, in which order, and figures and numbers from made images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision import models

from pags import data, outputs, presets, similarity, train
from pags.book import checkpoints
from pags.errors import PagsError, UsageError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """Two random ResNet18s of ten classes; the names disagree with the order of their budgets."""
    folder, made = tmp_path_factory.mktemp("nets"), []
    for name in ("a_eps3.ckpt", "b_eps0.25.ckpt"):
        torch.manual_seed(len(made))
        state = {f"module.model.{key}": v for key, v in models.resnet18(num_classes=10).state_dict().items()}
        torch.save({"model": state | {"module.normalizer.new_mean": torch.zeros(3)}}, folder / name)
        made.append(folder / name)
    return made


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A data set of made colour images, and a denoiser that is trained in a moment."""
    rng = np.random.default_rng(0)
    parts = {f"x_{split}": rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for split, n in (("train", 40), ("test", 12))}
    labels = {f"y_{split}": np.arange(n) % 10 for split, n in (("train", 40), ("test", 12))}
    np.savez(tmp_path / "folder.npz", **parts, **labels)
    config = presets.get("04_off_manifold_robustness", "gpu")
    quick = replace(config.denoiser, schedule=train.Schedule(1, 20, 1e-3), width=4, hidden=8)
    monkeypatch.setattr(checkpoints.presets, "get", lambda *_: replace(config, denoiser=quick))
    return tmp_path


def test_a_checkpoint_becomes_the_net_that_its_weights_fit(nets):
    net = checkpoints.load(nets[0])
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    wanted = models.resnet18(num_classes=10).eval()
    mean, std = (torch.tensor(v)[:, None, None] for v in (checkpoints.MEAN, checkpoints.STD))
    assert torch.allclose(net(x), wanted((x - mean) / std), atol=1e-5)


def test_weights_of_another_net_are_refused(tmp_path):
    torch.save({"model": {"layer.weight": torch.ones(2, 2)}}, tmp_path / "other.pt")
    with pytest.raises(PagsError, match="holds the weights of no resnet18, resnet34"):
        checkpoints.load(tmp_path / "other.pt")


def test_what_is_measured_is_the_predicted_logits_gradient_at_the_scores_size(nets):
    x = torch.rand(9, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    images = data.dataset("made", "test", x, torch.arange(9) % 10, 10)
    scores = torch.randn(9, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    found = checkpoints.measured(nets, images, scores, similarity.plain_cosine, device=CPU)
    assert [one.budget for one in found] == [0.25, 3.0]
    net = checkpoints.load(nets[0])
    E = outputs.gradient(net, x, outputs.predicted)
    maps = torch.nn.functional.interpolate(E, size=(64, 64), mode="bilinear", antialias=True)
    assert torch.allclose(found[1].likeness[0], similarity.plain_cosine(maps, scores), atol=1e-5)
    assert found[1].accuracy == pytest.approx(float((net(x).argmax(1) == images.y).float().mean()))


def test_the_command_writes_figures_and_numbers(nets, small, tmp_path):
    said = checkpoints.draw("folder", nets, tmp_path / "out", size=64, n=8, data_dir=small, device=CPU)
    assert said.splitlines()[0].startswith("b_eps0.25.ckpt: cosine ")
    assert "accuracy" in said
    numbers = json.loads((tmp_path / "out" / "checkpoints.json").read_text())
    assert [one["budget"] for one in numbers] == [0.25, 3.0]
    assert numbers[0]["images"] == 8
    low, high = numbers[0]["own score"][1:]
    assert low < numbers[0]["own score"][0] < high
    for name in ("likeness.svg", "gallery.svg"):
        assert (tmp_path / "out" / name).read_text().startswith("<svg")


def test_too_few_images_are_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match="write at least 8"):
        checkpoints.draw("nothing", [], tmp_path, n=3, device=CPU)
