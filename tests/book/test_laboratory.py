"""The laboratory: every number that its script computes against Python's, and every control by keyboard."""

import base64
import itertools
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from pags import attack, attribution, data, nets, paths, strokes, tangent, train
from pags.book import figures, laboratory
from pags.errors import PagsError, UsageError

EPS, STEPS = 2.0, 10
NAMES = ["standard", "robust", "over-regularised", "untrained"]


def net(seed, gain=1.0, **shape):
    """A perceptron with random weights, `gain` times as large as usual."""
    with train.seeded(seed):
        made = nets.mlp(**{"width": 128} | shape)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= gain
    return made


@pytest.fixture(scope="module")
def models():
    """Four networks in half precision, with small and with large gradients."""
    return {
        name: laboratory.half(net(i, gain)) for i, (name, gain) in enumerate(zip(NAMES, (3, 2, 0.5, 1), strict=True))
    }


@pytest.fixture(scope="module")
def content(models):
    """What the laboratory is on a page, as JSON."""
    data = laboratory.data(
        {name: (one, f"It is {name}.") for name, one in models.items()}, start=3, eps=EPS, steps=STEPS
    )
    bundles = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", lambda data, **_: bundles.append(data))
        patch.setenv("PAGS_STATIC", "1")
        laboratory.show(data, Figure(figsize=(1, 1)), alt="nothing", caption="A laboratory.", label="fig-lab")
    return bundles[0][figures.MIME]


# What is exported


def read(widths, weights):
    """The parameters that an exported network holds."""
    numbers = np.frombuffer(base64.b64decode(weights), "<f2").astype(np.float32)
    sizes = [n for a, b in itertools.pairwise(widths) for n in (a * b, b)]
    return np.split(numbers, np.cumsum(sizes))[:-1], len(numbers) - sum(sizes)


def test_half_precision_rounds_each_parameter_to_eleven_digits_and_leaves_the_net():
    one = net(0)
    before = [parameter.clone() for parameter in one.parameters()]
    rounded = laboratory.half(one)
    for old, new in zip(before, rounded.parameters(), strict=True):
        normal = old.abs() >= 2**-14
        assert ((new - old).abs() <= torch.where(normal, 2**-11 * old.abs(), 2**-25)).all()
        assert not torch.equal(new, old)
        assert torch.equal(new, new.half().float())
    assert all(map(torch.equal, before, one.parameters()))
    assert not rounded.training
    assert not any(parameter.requires_grad for parameter in rounded.parameters())


def test_what_half_precision_cannot_hold_is_refused():
    with pytest.raises(PagsError, match="beyond 65504"):
        laboratory.half(net(0, 1e7))


def test_the_exported_bytes_are_the_rounded_parameters_layer_by_layer():
    one = laboratory.half(net(1))
    found = laboratory.exported(one)
    parts, rest = read(**found)
    assert found["widths"] == [1024, 128, 128, 10]
    assert rest == 0
    for part, parameter in zip(parts, one.parameters(), strict=True):
        assert np.array_equal(part, parameter.numpy().ravel())


def test_four_networks_of_the_book_fit_and_more_do_not(content):
    held = sum(len(base64.b64decode(one["weights"])) for one in content["live"]["data"]["nets"])
    assert held == 2 * sum(parameter.numel() for parameter in net(0).parameters()) * 4 < laboratory.LIMIT
    six = {str(i): (net(i), "") for i in range(6)}
    with pytest.raises(PagsError, match=f"take {held // 4 * 6:,} bytes in half precision, a page holds 1,500,000"):
        laboratory.data(six, start=0, eps=EPS, steps=STEPS)


@pytest.mark.parametrize("other", [nets.lenet(), nets.linear(), nn.Sequential(), nn.ReLU()])
def test_only_perceptrons_are_taken(other):
    with pytest.raises(UsageError, match="perceptrons of rectified units"):
        laboratory.layers(other)


@pytest.mark.parametrize("sizes", [(8, 16), ((8, 4), (8, 4))])
def test_networks_of_other_sizes_are_refused(sizes):
    made = {str(i): (net(0, size=size, width=4), "") for i, size in enumerate(sizes)}
    with pytest.raises(UsageError, match="one square size"):
        laboratory.data(made, start=0, eps=EPS, steps=STEPS)


def test_no_class_of_the_laboratory_means_something_to_the_theme():
    import pydata_sphinx_theme
    import sphinx_book_theme

    folder = Path(laboratory.__file__).parent
    words = re.findall(r'class: "([^"]+)"', (folder / "laboratory.js").read_text(encoding="utf-8"))
    own = {word for names in words for word in names.split()} - {"visually-hidden"}  # which means the same there
    homes = [Path(theme.__file__).parent for theme in (pydata_sphinx_theme, sphinx_book_theme)]
    text = "".join(path.read_text(encoding="utf-8") for home in homes for path in home.rglob("styles/*theme.css"))
    assert ".row" in text
    assert own & set(re.findall(r"\.([a-zA-Z][\w-]*)", text)) == set()


def test_the_published_networks_are_those_that_the_chapter_has_measured():
    page, metrics = (paths.PUBLISHED / "quick" / f"08_laboratory.{kind}" for kind in ("ipynb", "json"))
    outputs = [out for cell in nbformat.read(page, as_version=4).cells for out in cell.get("outputs", [])]
    shown = [out.data[figures.MIME] for out in outputs if figures.MIME in out.get("data", {})]
    (live,) = (figure["live"]["data"] for figure in shown if "live" in figure)
    test = data.load("strokes", "test", n=json.loads(metrics.read_text())["metrics"]["accuracy.robust"]["n"])
    for one in live["nets"]:
        parts, _ = read(one["widths"], one["weights"])
        made = net(0)
        for parameter, part in zip(made.parameters(), parts, strict=True):
            parameter.data = torch.from_numpy(part.copy()).reshape(parameter.shape)
        found = json.loads(metrics.read_text())["metrics"][f"accuracy.{one['name']}"]["value"]
        assert train.correct(made, test.x, test.y).mean().item() == pytest.approx(found, abs=1e-6)


# In the browser


@pytest.fixture(scope="module")
def browsing():
    """Headless Chromium."""
    from browser import FLAGS, chromium
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def place(content, tmp_path_factory):
    """A page with the laboratory as a file, and its address."""
    path = tmp_path_factory.mktemp("lab") / "page.html"
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Laboratory</title><link rel="icon" href="data:,">'
    )
    path.write_text(f"{head}<main><h1>Laboratory</h1>{figures.page(content)}</main>", encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def lab(browsing, place):
    """A tab with the page, from its file and with no network; it must say nothing on its console."""
    tab, said = browsing.new_page(), []
    tab.route(re.compile("^(?!file:|data:)"), lambda route: said.append(route.request.url) or route.abort())
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(place)
    yield tab
    tab.close()
    assert said == []


def ask(tab, expression, argument=None):
    """What the laboratory's script answers; typed arrays as lists."""
    plain = "(v) => JSON.parse(JSON.stringify(v, (_, w) => (ArrayBuffer.isView(w) ? [...w] : w)))"
    root = "document.querySelector('.pags-laboratory').laboratory"
    return tab.evaluate(f"(a) => ({plain})((({{state, nets, data, update, ...o}}) => {expression})({root}))", argument)


def close(found, wanted):
    found, wanted = (torch.as_tensor(v, dtype=torch.float64).detach().ravel() for v in (found, wanted))
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def latents(seed):
    generator = torch.Generator().manual_seed(seed)
    return 1.5 * torch.randn(1, 10, generator=generator, dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("digit", range(10))
def test_image_and_tangent_space_are_those_of_the_renderer(lab, digit):
    for u in (torch.zeros(1, 10, dtype=torch.float64), latents(digit)):
        found = ask(lab, "o.digit(data, a[0], a[1])", [digit, u[0].tolist()])
        close(found["image"], strokes.render(u, digit))
        jacobian = strokes.jacobian(u, digit)[0]
        close(torch.tensor(found["changes"]).T, jacobian)
        basis = torch.tensor(ask(lab, "o.orthonormal(a)", found["changes"]), dtype=torch.float64).T
        wanted = strokes.tangent_basis(u, torch.tensor([digit]))[0]
        assert basis.shape[1] == int(tangent.rank(wanted[None]))
        close((basis @ basis.T).ravel(), wanted @ wanted.T)
        close((basis.T @ basis).ravel(), torch.eye(basis.shape[1]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_logits_gradient_parts_fraction_and_step_are_those_of_python(lab, models, name):
    model = models[name].double()
    for digit, target in ((3, None), (8, 1)):
        u = latents(digit)
        x, basis = strokes.render(u, digit), strokes.tangent_basis(u, torch.tensor([digit]))
        show = "(Object.assign(state, { net: a[0], digit: a[1], u: a[2], target: a[3], clean: null }), update())"
        found = ask(lab, show, [NAMES.index(name), digit, u[0].tolist(), target])
        gradient = attribution.gradient(model, x, target)
        inside = tangent.project(basis, gradient)
        close(found["logits"], model(x).detach())
        close(found["probabilities"], model(x).softmax(1).detach())
        close(found["gradient"], gradient)
        close(found["tangent"], inside)
        close(found["orthogonal"], gradient - inside)
        close(found["fraction"], tangent.fraction_in(basis, gradient))
        y, delta = torch.tensor([digit]), torch.zeros_like(x)
        for _ in range(6):  # of 2.5 eps / 10: from the fifth on the ball holds them
            found = ask(lab, "o.step(nets[a[0]].layers, state.clean, a[1], a[2], a[3], a[4])",
                        [NAMES.index(name), delta.ravel().tolist(), digit, EPS, 2.5 * EPS / STEPS])  # fmt: skip
            rest = (lambda v: attack.project_l2(v, EPS), None)
            delta = attack._pgd(model, x, y, delta, 2.5 * EPS / STEPS, 1, attack.unit_l2, *rest) - x
            close(found, delta)
    models[name].float()


@pytest.mark.slow
def test_noise_is_split_and_has_length_one_on_both_sides(lab):
    u = latents(5)
    basis = strokes.tangent_basis(u, torch.tensor([5]))
    noise = torch.randn(1, 1024, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = ask(
        lab, "o.directions(o.orthonormal(o.digit(data, 5, a[0]).changes), a[1])", [u[0].tolist(), noise[0].tolist()]
    )
    on = tangent.project(basis, noise)
    close(found["along"], attack.unit_l2(on))
    close(found["across"], attack.unit_l2(noise - on))


@pytest.mark.slow
def test_the_noise_is_normal_and_the_same_from_the_same_seed(lab):
    first, again, other = (np.array(ask(lab, "o.normal(a, 20000)", seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.03
    assert abs(first.mean()) < 0.03
    assert abs(first.std() - 1) < 0.02
    assert abs((np.abs(first) < 1).mean() - 0.6827) < 0.02


@pytest.mark.slow
def test_every_half_is_read(lab):
    found = np.array(ask(lab, "Array.from({ length: 65536 }, (_, i) => String(o.half(i)))")).astype(float)
    wanted = np.arange(65536, dtype=np.uint16).view(np.float16).astype(float)
    np.testing.assert_array_equal(found, wanted)


def test_chance_and_colours_are_the_book_s(content):
    from pags.book import plot

    data = content["live"]["data"]
    assert data["chance"][10] == pytest.approx(tangent.chance_level(10, 1024), abs=1e-6)
    assert data["chance"][3] == pytest.approx(tangent.chance_level(3, 1024), abs=1e-6)
    ends = np.array(plot.SIGNED([0, 0.5, 1.0]))[:, :3] * 255
    np.testing.assert_allclose(ends, [data["colours"][i] for i in (0, 3, 6)], atol=2)  # SIGNED has 256 steps


@pytest.mark.slow
@pytest.mark.parametrize("digit", [2, 4, 8])
def test_the_nearest_digit_of_a_digit_is_itself(lab, digit):
    u = 0.5 * latents(digit)
    found = ask(lab, "o.nearest(data, Float64Array.from(a))", strokes.render(u, digit).ravel().tolist())
    assert found["which"] == digit
    assert found["distance"] < 0.03
    basis = torch.tensor(ask(lab, "o.orthonormal(a)", found["changes"]), dtype=torch.float64).T[None]
    angles = tangent.principal_angles(basis, strokes.tangent_basis(u, torch.tensor([digit])))
    assert angles.max() < 15


@pytest.mark.slow
def test_what_is_drawn_along_a_digit_s_path_is_that_digit(lab):
    path, starts = strokes.pen_path(4)
    points = (0.62 * 32 * path + 15.5).tolist()
    parts = np.split(np.array(points), np.flatnonzero(starts)[1:])
    image = np.array(ask(lab, "o.drawing(data, a)", [part.tolist() for part in parts]))
    wanted = strokes.render(torch.zeros(1, 10, dtype=torch.float64), 4).numpy().ravel()
    assert np.abs(image - wanted).max() < 0.02


# Hands


def pressed(tab, locator, *keys):
    for key in keys:
        locator.press(key)
    tab.wait_for_timeout(100)


@pytest.mark.slow
def test_each_latent_moves_by_keyboard_and_says_so(lab):
    for j, latent in enumerate(strokes.LATENTS):
        slider = lab.get_by_label(latent, exact=True)
        pressed(lab, slider, "ArrowRight", "ArrowRight")
        assert ask(lab, "state.u")[j] == pytest.approx(0.2)
        assert slider.get_attribute("aria-valuetext") == "0.2 σ"
    image = torch.tensor(ask(lab, "update().image"))
    close(image, strokes.render(torch.full((1, 10), 0.2, dtype=torch.float64), 3))


@pytest.mark.slow
def test_network_digit_and_logit_are_chosen_by_keyboard(lab):
    pressed(lab, lab.get_by_label("standard", exact=True), "ArrowRight")
    assert ask(lab, "state.net") == 1
    assert lab.get_by_label("robust", exact=True).is_checked()
    assert lab.get_by_text("It is robust.").is_visible()
    pressed(lab, lab.get_by_role("radio", name="3", exact=True), "ArrowRight")
    assert ask(lab, "state.digit") == 4
    lab.get_by_label("gradient of the logit of").select_option("7")
    assert ask(lab, "update().explained") == 7
    lab.wait_for_timeout(100)
    assert "of the logit of 7" in lab.get_by_role("img", name="gradient:").get_attribute("aria-label")


@pytest.mark.slow
def test_noise_has_the_length_that_its_slider_says(lab):
    clean = np.array(ask(lab, "state.clean"))
    pressed(lab, lab.get_by_label("along the manifold"), *["PageUp"] * 2)
    percent = ask(lab, "state.along")
    image, basis = np.array(ask(lab, "update().image")), np.array(ask(lab, "state.basis"))
    change = image - clean
    assert np.linalg.norm(change) == pytest.approx(percent / 100 * np.linalg.norm(clean), rel=1e-6)
    assert np.linalg.norm(basis @ change) == pytest.approx(np.linalg.norm(change), rel=1e-6)
    pressed(lab, lab.get_by_label("along the manifold"), "Home")
    pressed(lab, lab.get_by_label("across it"), "PageUp")
    change = np.array(ask(lab, "update().image")) - clean
    assert np.linalg.norm(basis @ change) < 1e-6 * np.linalg.norm(change)


@pytest.mark.slow
def test_steps_of_the_attack_are_counted_and_taken_back_by_every_change(lab):
    loss = "-Math.log(update().probabilities[state.digit])"
    before = ask(lab, loss)
    pressed(lab, lab.get_by_role("button", name="one step"), "Enter", "Enter")
    assert ask(lab, "state.steps") == 2
    assert ask(lab, loss) > before
    assert lab.get_by_text("After step 2 the change is").is_visible()
    pressed(lab, lab.get_by_role("button", name="take it back"), "Enter")
    assert ask(lab, loss) == pytest.approx(before)
    lab.get_by_role("button", name=f"{STEPS} steps").press("Enter")
    lab.wait_for_function(f"document.querySelector('.pags-laboratory').laboratory.state.steps === {STEPS}")
    assert np.linalg.norm(ask(lab, "state.delta")) <= EPS + 1e-9
    pressed(lab, lab.get_by_label("size", exact=True), "ArrowRight")
    assert ask(lab, "[state.steps, Math.max(...state.delta)]") == [0, 0]


@pytest.mark.slow
def test_a_digit_that_was_misread_before_the_attack_is_not_called_fooled(lab):
    read = "data.paths.map((_, i) => o.explain(nets[0].layers, o.digit(data, i, state.u).image, null).explained)"
    misread, before = next((digit, says) for digit, says in enumerate(ask(lab, read)) if digit != says)
    lab.get_by_role("radio", name=str(misread), exact=True).evaluate("(one) => one.click()")
    assert lab.get_by_text(f"The network says {before}: already wrong before the attack.").is_visible()
    pressed(lab, lab.get_by_role("button", name="one step"), "Enter")
    assert lab.get_by_text(f"it was already wrong before the attack and said {before}").is_visible()
    assert lab.get_by_text("no longer").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["standard", "over-regularised"])
def test_the_least_budget_is_that_of_the_page_s_steps(lab, models, name):
    x = strokes.render(torch.zeros(1, 10), 3)
    y = models[name](x).argmax(1)
    script = """{
      const net = nets[a[0]].layers, says = (x) => o.explain(net, x, null).explained;
      const [low, high, by] = data.budget;
      for (let eps = low; eps <= high; eps += by) {
        let delta = state.clean.map(() => 0);
        for (let i = 0; i < a[2]; i++) delta = o.step(net, state.clean, delta, a[1], eps, 2.5 * eps / a[2]);
        if (says(state.clean.map((v, i) => v + delta[i])) !== a[1]) return eps;
      }
      return null;
    }"""
    found = ask(lab, f"(() => {script})()", [NAMES.index(name), int(y), STEPS])
    assert laboratory.least_budget(models[name], x, y, steps=STEPS) == found


@pytest.mark.slow
def test_on_a_phone_image_and_gradient_stay_in_sight_and_the_logits_lie_above_the_tools(browsing, place):
    from browser import PHONE

    tab = browsing.new_page(viewport=PHONE)
    tab.goto(place)
    for hand in (tab.get_by_label("thickness"), tab.get_by_role("button", name=f"{STEPS} steps")):
        hand.evaluate("(one) => one.scrollIntoView({ block: 'center' })")
        for name in ("image:", "gradient:"):
            assert tab.get_by_role("img", name=name).bounding_box()["y"] >= 0
        table = tab.get_by_role("table").bounding_box()
        assert table["y"] >= tab.get_by_role("img", name="gradient:").bounding_box()["height"]
    assert table["y"] + table["height"] <= tab.get_by_label("along the manifold").bounding_box()["y"]
    tab.close()


@pytest.mark.slow
def test_a_digit_is_drawn_by_keyboard_and_split_by_its_nearest_neighbour(lab):
    pressed(lab, lab.get_by_label("a stroke digit"), "ArrowRight")
    assert lab.get_by_text("fraction in tangent space: not known").is_visible()
    assert lab.get_by_label("along the manifold").is_disabled()
    pad = lab.get_by_role("application")
    pressed(lab, pad, "ArrowUp", " ", *["Shift+ArrowDown"] * 4)
    assert ask(lab, "state.near") is None
    assert lab.get_by_text("Draw, and lift the pen.").is_visible()
    pressed(lab, pad, " ")
    lab.wait_for_function("document.querySelector('.pags-laboratory').laboratory.state.near")
    assert ask(lab, "state.near.which") == 1
    assert lab.get_by_text("The tangent space is that of the nearest stroke digit, a 1").is_visible()
    pressed(lab, pad, "Backspace")
    assert ask(lab, "state.strokes") == []


@pytest.mark.slow
def test_a_digit_is_drawn_by_mouse(lab):
    lab.get_by_text("a drawing of yours").click()
    pad = lab.get_by_role("application")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    lab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    lab.mouse.down()
    lab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=8)
    lab.mouse.up()
    lab.wait_for_function("document.querySelector('.pags-laboratory').laboratory.state.near")
    ((first, *_, last),) = ask(lab, "state.strokes")
    assert last[1] - first[1] == pytest.approx(0.6 * 32, abs=0.5)
    assert ask(lab, "state.near.which") == 1


@pytest.mark.slow
def test_a_screen_reader_hears_where_the_hand_rests(lab):
    lab.get_by_role("status").get_by_text("The standard network says").wait_for(state="attached")


@pytest.mark.slow
def test_without_scripts_there_is_a_picture_and_a_sentence(browsing, place):
    context = browsing.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(place)
    assert tab.get_by_role("img", name="nothing").is_visible()
    assert tab.get_by_text("Where scripts run, here is a laboratory").is_visible()
    assert tab.locator("input, button, canvas").count() == 0
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("hand", ["a stroke digit", "a drawing of yours"])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(browsing, place, scheme, hand):
    from axe_playwright_python.sync_playwright import Axe
    from browser import EXCESS, PHONE, _violation

    context = browsing.new_context(color_scheme=scheme, viewport=PHONE)
    tab = context.new_page()
    tab.goto(place)
    tab.get_by_text(hand).click()
    tab.wait_for_timeout(200)
    assert [_violation(one) for one in Axe().run(tab).response["violations"]] == []
    assert tab.evaluate(EXCESS) <= 0
    context.close()
