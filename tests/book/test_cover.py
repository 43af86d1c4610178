"""The front page's picture shows a true split."""

import runpy
from types import SimpleNamespace

import pytest
import torch

from pags import paths, strokes

cover = SimpleNamespace(**runpy.run_path(str(paths.ROOT / "tools" / "cover.py")))


def test_both_steps_are_equally_long_and_orthogonal():
    x, along, across = cover.steps(length=2.0)
    one, other = (along - x).flatten(), (across - x).flatten()
    assert one.norm().item() == pytest.approx(2.0)
    assert other.norm().item() == pytest.approx(2.0)
    assert abs((one @ other).item()) < 1e-9


def test_the_step_along_stays_in_the_tangent_space_to_which_the_other_is_orthogonal():
    x, along, across = cover.steps()
    u = torch.zeros(1, len(strokes.LATENTS), dtype=torch.float64)
    basis = strokes.tangent_basis(u, torch.tensor([cover.DIGIT]))[0]
    inside = (basis.T @ (along - x).flatten()).norm() / (along - x).norm()
    assert inside.item() == pytest.approx(1.0)
    assert (basis.T @ (across - x).flatten()).norm().item() < 1e-9


def test_the_front_page_has_the_picture_and_it_follows_the_theme():
    picture = (paths.BOOK / "cover.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme:dark" in picture
    assert "cover.svg" in (paths.BOOK / "intro.md").read_text(encoding="utf-8")


def test_both_walks_are_equally_far_from_the_middle_at_every_step():
    along, across = cover.walk()
    middle = len(along) // 2
    assert torch.equal(along[middle], across[middle])
    assert (along - along[middle]).flatten(1).norm(dim=1).tolist() == pytest.approx(
        (across - across[middle]).flatten(1).norm(dim=1).tolist()
    )
    assert torch.linalg.matrix_rank((across - across[middle]).flatten(1)) == 1
    assert (paths.BOOK / "walk.html").read_text(encoding="utf-8") == cover.walk_page()
