"""Attributions: captum's values, the axioms that the methods are defined by, and no trace on the net."""

import captum.attr
import pytest
import torch
from torch import nn

from pags import attribution, tangent, train


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_net(activation=nn.Softplus):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 3), activation(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5), activation()]
        return nn.Sequential(*layers, nn.Linear(5, 3)).double().eval()


@pytest.fixture
def net():
    """A small smooth classifier of 8 x 8 images in 3 classes."""
    return make_net()


@pytest.fixture
def x():
    return torch.rand(4, 1, 8, 8, generator=generator(1), dtype=torch.float64)


@pytest.fixture
def target():
    return torch.tensor([2, 0, 1, 1])


METHODS = {
    "gradient": attribution.gradient,
    "input x gradient": attribution.input_x_gradient,
    "integrated gradients": attribution.integrated_gradients,
    "averaged gradients": lambda *a: attribution.integrated_gradients(*a, times_input=False),
    "smoothgrad": lambda *a: attribution.smoothgrad(*a, generator=generator()),
    "loss gradient": attribution.loss_gradient,
}


# Against captum


@pytest.mark.parametrize("activation", [nn.Softplus, nn.ReLU])
def test_the_gradient_is_captums(activation, x, target):
    net = make_net(activation)
    expected = captum.attr.Saliency(net).attribute(x.clone().requires_grad_(), target=target, abs=False)
    torch.testing.assert_close(attribution.gradient(net, x, target), expected)


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
@pytest.mark.parametrize("in_place", [True, False])
def test_guided_backprop_is_captums(x, target, in_place):
    net = make_net(nn.ReLU)
    expected = captum.attr.GuidedBackprop(net).attribute(x.clone().requires_grad_(), target=target).detach()
    plain = attribution.gradient(net, x, target)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = in_place
    torch.testing.assert_close(attribution.guided_backprop(net, x, target), expected)
    assert not torch.allclose(plain, expected)
    torch.testing.assert_close(attribution.gradient(net, x, target), plain)  # the hooks are gone
    assert all(module.inplace == in_place for module in net.modules() if isinstance(module, nn.ReLU))


def test_guided_backprop_refuses_a_net_that_it_cannot_change(net, x):
    with pytest.raises(ValueError, match="none"):
        attribution.guided_backprop(net, x)


def test_the_loss_gradient_is_the_logits_mixed_by_their_probabilities(net, x, target):
    p = net(x).softmax(1).detach()
    logits = [attribution.gradient(net, x, torch.full_like(target, c)) for c in range(3)]
    mixed = sum(p[:, c, None, None, None] * logits[c] for c in range(3)) - attribution.gradient(net, x, target)
    torch.testing.assert_close(attribution.loss_gradient(net, x, target), mixed)


def test_input_x_gradient_is_captums(net, x, target):
    expected = captum.attr.InputXGradient(net).attribute(x.clone().requires_grad_(), target=target).detach()
    torch.testing.assert_close(attribution.input_x_gradient(net, x, target), expected)


@pytest.mark.parametrize("times_input", [True, False])
@pytest.mark.parametrize("baseline", ["black", "grey", "an image"])
def test_integrated_gradients_are_captums(net, x, target, times_input, baseline):
    baseline = {"black": 0.0, "grey": 0.5, "an image": x.roll(1, 0)}[baseline]
    method = captum.attr.IntegratedGradients(net, multiply_by_inputs=times_input)
    expected = method.attribute(x, baselines=baseline, target=target)
    found = attribution.integrated_gradients(net, x, target, baseline=baseline, times_input=times_input)
    torch.testing.assert_close(found, expected)


def test_smoothgrad_is_captums_at_the_same_noise(net, x, target):
    net, x = net.float(), x.float()  # in which captum draws its noise
    for i in range(len(x)):  # captum draws all copies of one image in a row, and so do we
        one, label = x[i : i + 1], target[i : i + 1]
        with torch.random.fork_rng():
            torch.manual_seed(int(torch.randint(2**63 - 1, (1,), generator=generator(i))))
            method = captum.attr.NoiseTunnel(captum.attr.Saliency(net))
            options = {"nt_type": "smoothgrad", "nt_samples": 25, "stdevs": 0.02, "target": label, "abs": False}
            expected = method.attribute(one.clone().requires_grad_(), **options)
        found = attribution.smoothgrad(net, one, label, generator=generator(i))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)
        assert not torch.allclose(found, attribution.gradient(net, one, label), rtol=1e-4)


# The definitions


def test_the_gradient_of_a_linear_net_is_the_targets_weights(x, target):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double()
    torch.testing.assert_close(attribution.gradient(net, x, target).flatten(1), net[1].weight[target].detach())


def test_without_a_target_the_predicted_class_is_explained(net, x):
    x = 30 * torch.randn(20, 1, 8, 8, generator=generator(1), dtype=torch.float64)
    predicted = net(x).argmax(1)
    assert len(predicted.unique()) > 1
    assert torch.equal(attribution.predicted(net, x), predicted)
    for method in METHODS.values():
        torch.testing.assert_close(method(net, x), method(net, x, predicted))


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_integrated_gradients_are_complete(net, x, target, baseline):
    found = attribution.integrated_gradients(net, x, target, baseline=baseline)
    rows = torch.arange(len(x))
    gain = (net(x) - net(torch.full_like(x, baseline)))[rows, target].detach()
    assert gain.abs().min() > 1e-3
    torch.testing.assert_close(found.flatten(1).sum(1), gain, rtol=1e-9, atol=1e-9)


def test_integrated_gradients_from_the_image_itself_are_nothing(net, x):
    assert attribution.integrated_gradients(net, x, baseline=x).abs().max() == 0
    same = attribution.integrated_gradients(net, x, baseline=x, times_input=False)
    torch.testing.assert_close(same, attribution.gradient(net, x))


def test_the_class_to_explain_is_that_of_the_image_not_of_the_path(x):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).double()
    with torch.no_grad():  # black images are of class 1, these images of class 0
        net[1].weight.copy_(torch.stack([torch.ones(64), torch.zeros(64)]))
        net[1].bias.copy_(torch.tensor([0.0, 5.0]))
    torch.testing.assert_close(attribution.integrated_gradients(net, x), x)


def test_smoothgrad_tends_to_the_gradient(net, x, target):
    plain = attribution.gradient(net, x, target)
    far = [
        float((attribution.smoothgrad(net, x, target, generator=generator(), sigma=sigma) - plain).norm())
        for sigma in (1e-1, 1e-2, 1e-3)
    ]
    assert far[0] > 1e-4
    assert far[1] < 0.2 * far[0]
    assert far[2] < 0.2 * far[1]


def test_smoothgrad_of_a_quadratic_averages_its_noise(x):
    class Quadratic(nn.Module):
        def forward(self, x):
            return x.flatten(1).square().sum(1, keepdim=True)

    found = attribution.smoothgrad(Quadratic(), x, generator=generator(), sigma=0.3, samples=400)
    error = (found - 2 * x) / (2 * 0.3 / 20)  # in units of its standard deviation
    assert abs(float(error.mean())) < 4 / error.numel() ** 0.5
    assert float(error.std()) == pytest.approx(1, abs=0.2)


def test_random_directions_are_normal_and_differ_between_images(x):
    v = attribution.random(x.expand(4, 1, 8, 8), generator=generator())
    assert v.dtype == x.dtype
    assert not torch.allclose(v[0], v[1])
    assert float(attribution.random(torch.zeros(100, 64), generator=generator()).std()) == pytest.approx(1, abs=0.05)


def test_random_tangent_directions_lie_in_the_space_and_differ(x):
    basis = torch.linalg.qr(torch.randn(1, 64, 3, generator=generator(), dtype=torch.float64)).Q.expand(4, -1, -1)
    v = attribution.random_tangent(basis, x, generator=generator())
    assert v.shape == x.shape
    torch.testing.assert_close(tangent.fraction_in(basis, v), torch.ones(4).double())
    assert torch.linalg.matrix_rank(v.flatten(1)) == 3


# Promises


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("training", [True, False])
def test_attributions_leave_net_and_images_as_they_were(net, x, target, method, training):
    net.train(training)
    before = x.clone()
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    found = METHODS[method](net, x, target)
    assert not found.requires_grad
    assert torch.equal(x, before)
    assert x.grad is None
    assert not x.requires_grad
    assert net.training == training
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert all(p.requires_grad and torch.equal(p.grad, torch.ones_like(p)) for p in net.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_attributions_need_no_gradient_mode_and_no_trainable_net(net, x, target, method):
    expected = METHODS[method](net, x, target)
    with torch.no_grad():
        found = METHODS[method](net.requires_grad_(False), x, target)
    torch.testing.assert_close(found, expected)


# Batches, and shapes against them


TARGETED = {name: method for name, method in METHODS.items() if name != "smoothgrad"} | {
    "guided backprop": lambda net, x, target=None: attribution.guided_backprop(make_net(nn.ReLU), x, target)
}


@pytest.mark.parametrize("method", TARGETED)
@pytest.mark.parametrize("batch", [1, 3, 4])
def test_batches_change_nothing(net, x, target, method, batch):
    apply, method = attribution.in_batches, TARGETED[method]
    torch.testing.assert_close(apply(method, net, x, batch=batch), method(net, x))
    explained = method(net, x, target)
    torch.testing.assert_close(
        apply(lambda net, x, target: method(net, x, target), net, x, batch=batch, target=target), explained
    )


@pytest.mark.parametrize("size", [(1, 8, 8), (1, 5, 5)])
@pytest.mark.parametrize("batch", [1, 3])
def test_noise_does_not_depend_on_the_size_of_a_batch(size, batch):
    x = torch.rand(4, *size, generator=generator(1), dtype=torch.float64)
    with train.seeded(0):
        net = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 3), nn.Softplus(), nn.Linear(3, 3)).double()
    for method in attribution.METHODS.values():
        whole = method(net, x, generator=generator(), samples=3)
        parts = attribution.in_batches(method, net, x, batch=batch, generator=generator(), samples=3)
        torch.testing.assert_close(parts, whole)
    for i in range(4):  # and neither does what stands behind an image
        first = attribution.smoothgrad(net, x[: i + 1], generator=generator(), sigma=0.5, samples=3)
        torch.testing.assert_close(
            first, attribution.smoothgrad(net, x, generator=generator(), sigma=0.5, samples=3)[: i + 1]
        )


@pytest.mark.parametrize("method", TARGETED)
@pytest.mark.parametrize("one", [1, torch.tensor(1), torch.tensor([1])])
def test_one_class_for_all_images_explains_them_all(net, x, method, one):
    method = TARGETED[method]
    assert torch.equal(method(net, x, one), method(net, x, torch.tensor([1, 1, 1, 1])))


@pytest.mark.parametrize("method", [*TARGETED, "smoothgrad"])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (torch.tensor([0, 1]), r"target has the shape \(2,\): write \(4,\)"),
        (torch.tensor([[0], [1], [2], [0]]), "target has the shape"),
        (torch.tensor([0, 1, 2, 3]), "target runs from 0 to 3: write classes from 0 to 2"),
        (torch.tensor([0, 1, 2, -100]), "target runs from -100"),
        (torch.tensor([0.0, 1.0, 2.0, 0.0]), "whole numbers"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(net, x, method, wrong, words):
    with pytest.raises(ValueError, match=words):
        (TARGETED | METHODS)[method](net, x, wrong)


@pytest.mark.parametrize("batch", [1, 3, 4])
@pytest.mark.parametrize(
    "baseline", [0.3, torch.tensor(0.3), torch.full((1, 8, 8), 0.3), torch.full((1, 1, 8, 8), 0.3), None]
)
def test_a_baseline_goes_with_its_image(net, x, target, baseline, batch):
    wanted = attribution.integrated_gradients(net, x, target, baseline=x.flip(0) if baseline is None else 0.3)
    baseline = x.flip(0) if baseline is None else baseline.double() if isinstance(baseline, torch.Tensor) else baseline
    for found in (
        attribution.integrated_gradients(net, x, target, baseline=baseline),
        attribution.in_batches(attribution.integrated_gradients, net, x, batch=batch, target=target, baseline=baseline),
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (8, 8), (4,), (1, 1, 1, 8, 8)])
def test_a_baseline_that_does_not_fit_is_refused(net, x, shape):
    for batch in (1, 3, 4):
        with pytest.raises(ValueError, match="baseline has the shape"):
            attribution.in_batches(attribution.integrated_gradients, net, x, batch=batch, baseline=torch.zeros(shape))


def test_in_batches_refuses_tensors_that_it_cannot_share_out(net, x):
    with pytest.raises(ValueError, match="'sigma'"):
        attribution.in_batches(attribution.smoothgrad, net, x, generator=generator(), sigma=torch.rand(4, 1, 1, 1))


def test_smoothgrad_of_no_samples_is_refused(net, x):
    with pytest.raises(ValueError, match="samples = 0"):
        attribution.smoothgrad(net, x, generator=generator(), samples=0)


def test_fractions_name_the_papers_methods(net, x):
    basis = torch.linalg.qr(torch.randn(4, 64, 3, generator=generator(), dtype=torch.float64)).Q
    found = attribution.fractions(net, x, basis, generator=generator(), batch=3)
    assert list(found) == ["random", "gradient", "SmoothGrad", "Integrated Gradients", "Input x Gradient"]
    unsigned = attribution.integrated_gradients(net, x, times_input=False)  # as in the released code
    torch.testing.assert_close(found["Integrated Gradients"], tangent.fraction_in(basis, unsigned))
    torch.testing.assert_close(found["gradient"], tangent.fraction_in(basis, attribution.gradient(net, x)))
    assert all(values.shape == (4,) and (values >= 0).all() and (values <= 1).all() for values in found.values())
