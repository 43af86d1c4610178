"""Gradients of four outputs of one net, how like the score they are, and schedules of other lengths."""

import pytest
import torch
from torch import nn

from pags import outputs, similarity

W = torch.randn(16, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
X = torch.rand(7, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Linear(nn.Module):
    def forward(self, x):
        return x.flatten(1) @ W


def test_gradients_of_a_linear_net_are_known():
    logits = X.flatten(1) @ W
    top = logits.argsort(1, descending=True)
    expected = {
        "sum of logits": W.sum(1).expand(7, 16),
        "predicted logit": W.T[top[:, 0]],
        "log-sum-exp": logits.softmax(1) @ W.T,
        "margin": W.T[top[:, 0]] - W.T[top[:, 1]],
    }
    assert expected.keys() == outputs.OUTPUTS.keys()
    for name, of in outputs.OUTPUTS.items():
        found = outputs.gradient(Linear(), X, of, batch=3)
        torch.testing.assert_close(found.flatten(1), expected[name])


def test_a_gradient_is_as_like_its_own_score_as_can_be_and_the_null_is_of_other_images():
    basis = torch.eye(16, dtype=torch.float64).expand(7, 16, 16)

    def cosine(one, two):
        return similarity.cosine(basis, one, two)

    score = outputs.gradient(Linear(), X, outputs.evidence)
    found = outputs.likenesses(Linear(), X, {0.25: score, 0.5: -score}, cosine)
    assert set(found) == {(name, sigma) for name in outputs.OUTPUTS for sigma in (0.25, 0.5)}
    own, null = found["log-sum-exp", 0.25]
    assert own.tolist() == pytest.approx([1] * 7)
    assert (null < own).all()
    torch.testing.assert_close(found["log-sum-exp", 0.5], -found["log-sum-exp", 0.25])
    with pytest.raises(ValueError, match="6 scores for 7 images"):
        outputs.likenesses(Linear(), X, {0.25: score[:6]}, cosine)
