"""What chapter 05 defines on its page: measures on known cases, and exercises whose checks tell right from wrong."""

from dataclasses import replace

import numpy as np
import pages
import pytest
import torch

from pags import PRESETS, attack, attribution, blocks, data, presets, strokes, tangent, train
from pags.book import leaking, plot
from pags.train import Schedule

SIZE = 6
DEFINED = {"tampered", "leaks", "echo", "embedded", "check_blind", "check_loss", "check_top"}
DEFINED |= {"check_fooling", "check_leaky"}


def toy(n=40):
    """Two patterns, one to a class, beside black null blocks."""
    y = torch.arange(n) % 2
    columns = torch.arange(SIZE) < SIZE // 2
    x = torch.where(columns == y[:, None].bool(), 0.9, 0.1)[:, None, None].expand(-1, 1, SIZE, -1).contiguous()
    source = data.dataset("patterns", "test", x, y, 2)
    return blocks.make(source, torch.zeros(1, SIZE, SIZE), generator=torch.Generator().manual_seed(0))


class Reader(torch.nn.Module):
    """A linear net that reads both blocks alike: right on `toy`, and a slave of the null block."""

    def __init__(self):
        super().__init__()
        self.sign = torch.nn.Parameter(torch.where(torch.arange(SIZE) < SIZE // 2, -1.0, 1.0))

    def forward(self, x):
        score = (x * self.sign).sum((1, 2, 3))
        return torch.stack([score, -score], 1)


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines, over a toy data set."""
    names = {"np": np, "torch": torch, "blocks": blocks, "train": train, "attack": attack, "strokes": strokes}
    names |= {"attribution": attribution, "test": toy(), "level": 5, "pool": torch.rand(3, 1, 28, 28)}
    return pages.defined("05_blockmnist", names, functions=DEFINED)


def added(net, null, weights, strength):
    """The solution of ex-05-leak with another part of it for each logit, or weaker."""

    def logits(x):
        top, bottom = ((part - null).flatten(1) for part in x.chunk(2, dim=2))
        zero = top.sum(1) * bottom.square().sum(1) + bottom.sum(1) * top.square().sum(1)
        return net(x) + strength * zero[:, None] * torch.tensor(weights)

    return logits


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-05-blind": ("check_blind", "best_blind", [lambda m, p: 1 - p, lambda m, p: 1 - 1 / m]),
    "ex-05-loss": ("check_loss", "loss_from_logits", [lambda G, logits, y: -G[torch.arange(len(y)), y]]),
    "ex-05-leak": (
        "check_leaky",
        "leaky",
        [
            lambda net, null: net,
            lambda net, null: lambda x: net(x) + 1,
            lambda net, null: added(net, null, [1.0, 1.0], 1e4),  # the difference of the logits does not leak
            lambda net, null: added(net, null, [1.0, 0.0], 1e4),
            lambda net, null: added(net, null, [1.0, -1.0], 1.0),  # too weak
            lambda net, null: added(net, 0 * null, [1.0, -1.0], 1e4),
            lambda net, null: lambda x: net(x) + 1e4 * (x[:, :, :4] - null).sum((1, 2, 3))[:, None],  # on top only
            lambda net, null: lambda x: net(torch.cat([x[:, :, :4], null.expand_as(x[:, :, 4:])], 2)),
            lambda net, null: lambda x: 1e4 * net(x),
            lambda net, null: lambda x: net(x)[:, :1],
        ],
    ),
    "ex-05-top": ("check_top", "top_share", [lambda E, signal, level: blocks.top_share(E.clamp_min(0), signal, level)]),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    pages.judged(page, label, *CASES[label], capsys)


def test_the_fooling_block_must_fool_on_new_images_and_be_a_picture(page, capsys):
    design = pages.answers(page, "ex-05-fool")["design"]
    page["check_fooling"](design, Reader(), toy())
    assert capsys.readouterr().out.startswith("right")
    for wrong in (torch.zeros(1, SIZE, SIZE), torch.full((1, SIZE, SIZE), 2.0), torch.zeros(3, SIZE, SIZE)):
        page["check_fooling"](lambda net, images, wrong=wrong: wrong, Reader(), toy())
        assert capsys.readouterr().out.startswith("not yet")


def test_tampering_leaves_the_digit_as_it_is(page):
    source = data.dataset("noise", "test", torch.rand(30, 1, 28, 28), torch.arange(30) % 2, 2)
    part = blocks.make(source, blocks.patch(), generator=torch.Generator().manual_seed(0))
    found = page["tampered"](part, torch.Generator().manual_seed(1))
    for name, x in found.items():
        place = 1 - part.place if name == "moved" else part.place
        parts = blocks.split(x, 2)
        assert torch.equal(parts[torch.arange(30), place], source.x), name
        null = parts[torch.arange(30), 1 - place]
        expected = {"zeroed": torch.zeros(1, 28, 28), "moved": blocks.patch()}.get(name)
        if expected is not None:
            assert torch.equal(null, expected.expand_as(null))
        else:
            assert all(any(torch.equal(one, other) for other in page["pool"]) for one in null)


def test_images_without_a_gradient_have_no_leakage(page):
    E, part = torch.randn(40, 1, 2 * SIZE, SIZE), toy()
    E[[3, 5]] = 0
    found = page["leaks"](E, part.signal)
    kept = E.flatten(1).any(1)
    assert kept.sum() == 38
    assert torch.equal(found["magnitude"], blocks.null_share(E[kept], part.signal[kept]))
    assert torch.equal(found["squared"], blocks.null_share(E[kept], part.signal[kept], power=2))
    assert torch.equal(found["highlighted"], blocks.top_share(E[kept], part.signal[kept], page["level"]))


def test_the_echo_of_a_linear_net_is_one_and_of_noise_is_zero(page):
    part = toy()
    y, place = part.images.y, part.place
    E = attribution.gradient(Reader(), part.images.x)
    assert page["echo"](E, place, y).numpy() == pytest.approx(1, abs=1e-5)
    noise = torch.randn(40, 1, 2 * 28, 28, generator=torch.Generator().manual_seed(2))
    assert page["echo"](noise, place, y).abs().mean() < 3 / 28
    assert page["echo"](E, torch.zeros_like(place), y).isnan().all()  # nobody else has a signal there


def test_embedded_bases_lie_in_their_block_and_stay_orthonormal(page):
    g = torch.Generator().manual_seed(0)
    u, place = torch.randn(4, 10, generator=g), torch.tensor([0, 1, 1, 0])
    small = strokes.tangent_basis(u, torch.tensor([0, 1, 0, 1]), size=28)
    large = page["embedded"](small, place)
    torch.testing.assert_close(large.mT @ large, torch.eye(10).expand(4, -1, -1), atol=1e-4, rtol=0)
    assert (large[~blocks.mask(place, 2, 28).flatten(1)] == 0).all()
    x = torch.rand(4, 1, 28, 28, generator=g)
    stacked = blocks.stack(x, torch.zeros(4, 1, 1, 28, 28), place)
    torch.testing.assert_close(tangent.fraction_in(large, stacked), tangent.fraction_in(small, x))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_net_is_asked_for_once_and_meets_the_adversary_of_its_kind(preset):
    P = presets.get("05_blockmnist", preset)
    queue = leaking.queue(P)
    assert len(queue) == len(set(queue))
    for _, net, eps, _ in queue:
        assert leaking.config(P, net, eps).budgets == ((eps,) if eps else ())
        if net in leaking.CONVS and eps:
            assert (eps,) == leaking.configs(P)[net][1].budgets
    assert {eps for name, net, eps, _ in queue if (name, net) == ("BlockMNIST", "mlp")} == {*leaking.budgets(P)}
    assert leaking.TOP in {name for name, *_ in queue}
    assert f"p = {leaking.steps(P)[-1]:g}" == leaking.TOP


def test_a_drawn_eight_stands_beside_a_zero_or_a_one():
    source = data.load("strokes", "test", n=60, size=28)
    part, latents, digit = leaking.beside_eight(source, 5, torch.Generator().manual_seed(0))
    assert (digit == 8).all()
    assert (part.images.y < 2).all()
    parts = blocks.split(part.images.x, 2)
    signal, null = parts[range(5), part.place], parts[range(5), 1 - part.place]
    for u, y, x in ((part.images.latents, part.images.y, signal), (latents, digit, null)):
        for one, c, image in zip(u, y, x, strict=True):
            (at,) = (source.latents == one).all(1).nonzero()[:, 0]
            assert source.y[at] == c
            assert torch.equal(source.x[at], image)


def test_nets_without_a_value_are_left_out():
    assert leaking.known([0.1, np.nan, 0.3]).tolist() == [[0.1], [0.3]]
    assert leaking.known([np.nan]).shape == (0, 1)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_control_differs_from_the_robust_mlp_in_the_adversary_alone(preset):
    P = presets.get("05_blockmnist", preset)
    control, robust = leaking.config(P, leaking.CONTROL, 0.0), leaking.config(P, "mlp", 4.0)
    assert control == replace(robust, budgets=(), pgd_steps=control.pgd_steps)
    assert not control.budgets
    beside = {(net, eps) for name, net, eps, _ in leaking.queue(P) if name == "drawn"}
    assert beside == {(leaking.CONTROL, 0.0), ("mlp", 4.0)}


def test_intervals_sort_names_by_a_bound_and_sentences_name_them():
    ends = {"a": (0.1, 0.2), "b": (0.6, 0.7), "c": (0.4, 0.6), "d": (0.5, 0.5), "e": (0.0, 0.1)}
    found = leaking.sides(ends, 0.5)
    assert found == (["a", "e"], ["b"], ["c", "d"])
    assert leaking.phrases(found, "low for", "high for", "open for") == "low for a and e, high for b, open for c and d"
    assert leaking.phrases(([], ["b"]), "low for", "high for") == "high for b"


def test_a_recipe_is_said_in_words():
    sgd = Schedule(epochs=1, batch=256, lr=0.1, adam=False, momentum=0.9, weight_decay=5e-4)
    assert leaking.recipe(sgd) == "SGD with momentum 0.9, rate 0.1, batches of 256, weight decay 0.0005"
    assert leaking.recipe(Schedule(epochs=1, batch=100, lr=1e-3)) == "Adam, rate 0.001, batches of 100, no weight decay"


def test_the_blind_level_is_named_once():
    fig = leaking.blind(plot.distributions({"a": torch.rand(9), "b": torch.rand(9)}), 0.5)
    said = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert said.count("blind level 0.5") == 1


def test_the_parts_of_a_bar_fill_it():
    fig = leaking.stacked({"one": [0.1, 0.2, 0.3, 0.4]}, ["a", "b", "c", "d"], xlabel="share")
    widths = [bar.get_width() for bar in fig.axes[0].patches]
    assert widths == pytest.approx([0.1, 0.2, 0.3, 0.4])
