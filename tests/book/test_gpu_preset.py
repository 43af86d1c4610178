"""A chapter at preset gpu from end to end, made tiny, on made colour images: it runs where there is no GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

NET = {"schedule.batch": 16, "schedule.lr": 0.02, "net": "narrow_lenet"}
TINY = {
    "images": "small",
    "images_size": 48,  # larger than its files, as those of ImageNet would be
    "n": 160,
    "test": 60,
    "explain": 12,
    "scored": 6,
    "autoencoder": {"latents": 8, "width": 8, "schedule.epochs": 2, "schedule.batch": 32},
    "denoiser": {"width": 8, "hidden": 32, "schedule.epochs": 2, "schedule.batch": 32},
    "classifier": NET | {"schedule.epochs": 4},
    "gradient_norm": [0.01, 0.1, 1.0],
    "smoothness": [0.1, 1.0],
    "noise": [0.03, 0.1, 0.3],
    "pgd": [0.1, 0.5, 1.0],
    "draws": 2,
    "lpips": False,  # its weights are not at hand
    "distractor": "strokes",
    "distractor_n": 100,
    "distractor_test": 40,
    "distractor_net": NET,
    "distractor_robust": NET,
    "noises": [0.1, 0.3, 1.0],
}


def small(n):
    """Colour images of ten classes with a pattern of their own each, and their labels."""
    y = np.arange(n) % 10
    patterns = np.random.default_rng(1).integers(0, 200, (10, 4, 4, 3))
    noise = np.random.default_rng(n).integers(0, 56, (n, 32, 32, 3))
    return (np.kron(patterns[y], np.ones((1, 8, 8, 1), int)) + noise).astype(np.uint8), y


def test_chapter_04_runs_at_gpu_on_colour_images(tmp_path):
    x, y = small(400)
    test = small(100)
    np.savez(tmp_path / "small.npz", x_train=x, y_train=y, x_test=test[0], y_test=test[1])
    words = []
    for name, value in TINY.items():
        some = value.items() if isinstance(value, dict) else [("", value)]
        for field, one in some:
            words += ["-p", f"{name}.{field}".rstrip("."), json.dumps(one)]
    pags = Path(sys.executable).parent / "pags"
    done = subprocess.run(
        [pags, "run", "04", "--preset", "gpu", "--device", "cpu", "--data-dir", tmp_path, *words],
        env=os.environ | {"PAGS_BUILD": str(tmp_path / "build")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "of one H100" in done.stderr.splitlines()[0]
    path = tmp_path / "build" / "changed" / "results" / "gpu" / "04_off_manifold_robustness.json"
    result = json.loads(path.read_text())
    assert result["preset"] == "gpu"
    assert result["parameters"]["data"] == ["small", "strokes"]
    assert {"change.on.standard", "denoiser.left.held-out", "score.fraction"} <= result["metrics"].keys()
