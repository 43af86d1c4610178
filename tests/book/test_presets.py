"""Presets: each setting written once, complete, changed by dotted name, and guarded against what cannot be meant."""

import dataclasses
import re
import typing

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pags import PRESETS, attribution, classify, presets
from pags.errors import UsageError
from pags.presets.columns import Column, at, sizes, vary
from pags.train import Schedule

PLACES = [(chapter, name) for chapter in presets.CHAPTERS for name in PRESETS]
QUICK = {chapter: sizes["quick"] for chapter, sizes in presets.CHAPTERS.items()}
FIELDS = [(chapter, field) for chapter, config in QUICK.items() for field in presets.flat(config)]
place = st.sampled_from([(chapter, name, field) for chapter, field in FIELDS for name in PRESETS])


def kind(chapter, field):
    """The declared type of a field with a dotted name."""
    hint = type(QUICK[chapter])
    for part in field.split("."):
        hint = typing.get_type_hints(hint, include_extras=True)[part]
    return hint


def limits(hint):
    """The ends that a hint such as `Share` declares for a number; None if it declares none."""
    return hint.__metadata__[0] if typing.get_origin(hint) is typing.Annotated else None


def optional(hint):
    """What a hint such as `float | None` declares beside None; None if it is no such hint."""
    parts = typing.get_args(hint)
    return next(part for part in parts if part is not type(None)) if type(None) in parts else None


def allowed(hint, field):
    """Values that may stand where `hint` is declared."""
    if inner := optional(hint):
        return st.none() | allowed(inner, field)
    if typing.get_origin(hint) is tuple:
        return st.lists(allowed(typing.get_args(hint)[0], field), min_size=1, max_size=3).map(tuple)
    if ends := limits(hint):
        return st.floats(ends.least, ends.most)
    if field.endswith(".net"):
        return st.sampled_from(list(classify.NETS))
    if field.endswith(".methods"):
        return st.sampled_from(list(attribution.METHODS))
    return {
        int: st.integers(1, 10**9),
        float: st.floats(0, 1e9),
        bool: st.booleans(),
        str: st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=10),
    }[hint]


def refusal(*args):
    with pytest.raises(UsageError) as caught:
        presets.get(*args)
    line = str(caught.value)
    assert line
    assert "\n" not in line
    return line


# Written once


ADAM = Schedule(epochs=sizes(*range(1, len(PRESETS) + 1)), batch=64, lr=1e-3)
NET = classify.Config(schedule=ADAM, net="mlp", dropout=False)


def everywhere(template):
    """The template at every preset, in their order."""
    return [at(template, name) for name in PRESETS]


def columns_in(value):
    """The templates' columns that are left in a value, at any depth."""
    if isinstance(value, Column):
        return [value]
    if isinstance(value, tuple):
        return [column for item in value for column in columns_in(item)]
    if dataclasses.is_dataclass(value):
        return [column for field in dataclasses.fields(value) for column in columns_in(getattr(value, field.name))]
    return []


@pytest.mark.parametrize("count", [0, 1, len(PRESETS) - 1, len(PRESETS) + 1])
def test_a_setting_with_too_few_or_too_many_columns_is_refused(count):
    with pytest.raises(ValueError, match=f"write one value for each of {', '.join(PRESETS)}"):
        sizes(*range(count))


def test_a_template_is_each_presets_own_column_and_a_plain_value_everywhere():
    assert everywhere(NET) == [
        classify.Config(schedule=Schedule(epochs=i + 1, batch=64, lr=1e-3), net="mlp", dropout=False)
        for i in range(len(PRESETS))
    ]


def test_a_column_may_hold_templates_and_stand_in_a_tuple():
    nets = [NET, *(len(PRESETS) - 1) * [vary(NET, net="lenet")]]
    assert everywhere(sizes(*nets)) == [at(net, name) for net, name in zip(nets, PRESETS, strict=True)]
    assert everywhere((sizes(*PRESETS), "all")) == [(name, "all") for name in PRESETS]


def test_a_variation_changes_what_it_names_and_leaves_the_template():
    varied = everywhere(vary(NET, schedule={"lr": sizes(*map(float, range(len(PRESETS))))}, pgd_steps=7))
    assert varied == [
        dataclasses.replace(net, schedule=dataclasses.replace(net.schedule, lr=float(i)), pgd_steps=7)
        for i, net in enumerate(everywhere(NET))
    ]
    assert {net.schedule.lr for net in everywhere(NET)} == {1e-3}


def test_a_variation_reaches_the_templates_of_a_column():
    slow = vary(ADAM, lr=1e-4)
    net = classify.Config(schedule=sizes(ADAM, *(len(PRESETS) - 1) * [slow]))
    varied = everywhere(vary(net, schedule={"epochs": sizes(*range(10, 10 + len(PRESETS)))}))
    assert [net.schedule.epochs for net in varied] == list(range(10, 10 + len(PRESETS)))
    assert [net.schedule.lr for net in varied] == [1e-3, *(len(PRESETS) - 1) * [1e-4]]


@pytest.mark.parametrize("changes", [{"nets": "mlp"}, {"schedule": {"epoch": 3}}, {"net": {"epochs": 3}}])
def test_a_variation_of_what_there_is_not_is_refused(changes):
    with pytest.raises(TypeError):
        vary(NET, **changes)


@pytest.mark.parametrize(("chapter", "name"), PLACES)
def test_no_template_is_left_in_a_preset(chapter, name):
    assert columns_in(presets.TEMPLATES[chapter])
    assert not columns_in(presets.get(chapter, name))


# Complete


@pytest.mark.parametrize(("chapter", "name"), PLACES)
def test_every_preset_has_every_field_in_its_type(chapter, name):
    def check(config, hint):
        assert isinstance(config, hint)
        assert hint.__dataclass_params__.frozen
        for field, inner in typing.get_type_hints(hint).items():
            value = getattr(config, field)
            if dataclasses.is_dataclass(inner):
                check(value, inner)
            elif typing.get_origin(inner) is tuple:
                assert all(type(item) is typing.get_args(inner)[0] for item in value), field
            else:
                assert type(value) is inner or (optional(inner) and type(value) in typing.get_args(inner)), field

    check(presets.get(chapter, name, {}), type(QUICK[chapter]))


@pytest.mark.parametrize("chapter", presets.CHAPTERS)
def test_the_table_names_every_field_once_with_its_value_in_every_preset(chapter):
    rows = presets.table(chapter)
    assert [row["field"] for row in rows] == [field for c, field in FIELDS if c == chapter]
    for name in PRESETS:
        assert {row["field"]: row[name] for row in rows} == presets.flat(presets.get(chapter, name))


@pytest.mark.parametrize("chapter", presets.CHAPTERS)
def test_quick_downloads_nothing(chapter):
    values = presets.flat(presets.get(chapter, "quick"))
    data = {field: value for field, value in values.items() if field.split(".")[-1] in ("data", "others")}
    assert data or chapter.startswith(("01", "08"))  # these have no choice: they load the strokes by name, or nothing
    assert set(data.values()) <= {"strokes", ("strokes",)}


def test_paper_has_the_papers_numbers():
    values = presets.flat(presets.get("03_tangent_fractions", "paper"))
    expected = {
        "manifold.n": 60_000,
        "manifold.vae.latents": 10,
        "manifold.vae.beta": 6.0,
        "manifold.vae.corrected": False,
        "manifold.vae.anneal": 10_000,
        "manifold.vae.schedule.epochs": 400,
        "manifold.vae.schedule.batch": 64,
        "manifold.vae.schedule.lr": 5e-4,
        "manifold.draw.train": 60_000,
        "manifold.draw.test": 10_000,
        "manifold.draw.reject": True,
        "robust.classifier.budgets": (1.0, 4.0, 8.0),
        "robust.classifier.pgd_steps": 100,
        "robust.classifier.per_batch": True,
        "robust.classifier.schedule.lr": 0.1,
        "robust.classifier.schedule.batch": 100,
        "robust.classifier.schedule.epochs": 15,
        "robust.classifier.schedule.adam": False,
        "control.classifier.budgets": (),
        "as_text.per_batch": False,
        "shuffled.classifier.dropout": False,
        "shuffled.classifier.shuffle_labels": True,
        "shuffled.classifier.schedule.epochs": 3000,
        "standard.classifier.schedule.epochs": 50,
        "seeds": 3,
        "upsampled": 256,
        "replications": 10,
    }
    assert {field: values[field] for field in expected} == expected


# Changed


@given(place=place, choice=st.data())
def test_an_override_changes_its_field_and_no_other(place, choice):
    chapter, name, field = place
    value = choice.draw(allowed(kind(chapter, field), field))
    before = presets.flat(presets.get(chapter, name))
    given_value = list(value) if isinstance(value, tuple) else value  # as YAML gives it
    assert presets.flat(presets.get(chapter, name, {field: given_value})) == before | {field: value}
    assert presets.flat(presets.get(chapter, name)) == before  # the preset itself stays


@given(places=st.lists(st.sampled_from(FIELDS), min_size=2, max_size=6), choice=st.data())
def test_overrides_add_up(places, choice):
    chapter = places[0][0]
    fields = {field for c, field in places if c == chapter}
    values = {field: choice.draw(allowed(kind(chapter, field), field)) for field in fields}
    expected = presets.flat(presets.get(chapter, "quick")) | values
    assert presets.flat(presets.get(chapter, "quick", values)) == expected


def test_a_whole_number_may_stand_for_a_float():
    config = presets.get("02_mnist32_generation", "quick", {"manifold.vae.beta": 4})
    assert config.manifold.vae.beta == 4.0
    assert type(config.manifold.vae.beta) is float


# Refused


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.one_of(st.integers(), st.text())),
)


def fits(value, hint):
    if inner := optional(hint):
        return value is None or fits(value, inner)
    if typing.get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(fits(item, typing.get_args(hint)[0]) for item in value)
    if ends := limits(hint):
        return type(value) in (int, float) and ends.least <= value <= ends.most
    if hint is float:
        return type(value) in (int, float) and 0 <= value <= 10**12
    return type(value) is hint and (hint is not int or 0 <= value <= 10**12)


@given(place=place, value=anything)
def test_a_value_of_the_wrong_type_is_refused_in_one_line(place, value):
    chapter, name, field = place
    assume(not fits(value, kind(chapter, field)))
    line = refusal(chapter, name, {field: value})
    assert line.startswith(f"{field} = ")
    assert ": write " in line


@given(
    chapter=st.sampled_from(list(presets.CHAPTERS)),
    field=st.text(st.characters(exclude_categories=["C"])),
    value=anything,
)
def test_an_unknown_field_is_refused_naming_what_there_is(chapter, field, value):
    assume((chapter, field) not in FIELDS)
    line = refusal(chapter, "quick", {field: value})
    assert repr(field)[1:-1] in line


@pytest.mark.parametrize(
    ("chapter", "name", "overrides", "words"),
    [
        ("07_nothing", "quick", {}, ["'07_nothing'", "02_mnist32_generation, 03_tangent_fractions"]),
        ("03_tangent_fractions", "fast", {}, ["'fast'", "quick, standard, gpu, paper"]),
        ("03_tangent_fractions", "quick", ["explain"], ["['explain']", "a dict from field to value"]),
        ("03_tangent_fractions", "quick", {"epochs": 3}, ["'epochs'", "standard.classifier.schedule.epochs"]),
        (
            "03_tangent_fractions",
            "quick",
            {"standard.classifier.schedule.epoch": 3},
            [" standard.classifier.schedule.epochs"],
        ),
        (
            "03_tangent_fractions",
            "quick",
            {"standard.classifier": 3},
            ["a group of settings", "standard.classifier.schedule"],
        ),
        ("03_tangent_fractions", "quick", {"explain.more": 3}, ["'explain.more'"]),
        ("03_tangent_fractions", "quick", {"explain": 3.0}, ["explain = 3.0", "a whole number"]),
        ("03_tangent_fractions", "quick", {"explain": "3"}, ["explain = '3'", "a whole number"]),
        ("03_tangent_fractions", "quick", {"explain": -3}, ["explain = -3", "a whole number from 1 to"]),
        ("03_tangent_fractions", "quick", {"standard.looks": -1}, ["standard.looks = -1", "a whole number from 0 to"]),
        ("03_tangent_fractions", "quick", {"manifold.vae.beta": 10**400}, ["a number from 0 to"]),
        ("03_tangent_fractions", "quick", {"standard.classifier.schedule.batch": 0}, ["batch = 0", "from 1 to"]),
        ("03_tangent_fractions", "quick", {"standard.classifier.net": "lenet5"}, ["'lenet5'", "lenet, resnet18"]),
        (
            "03_tangent_fractions",
            "quick",
            {"standard.classifier.dropout": 1},
            ["standard.classifier.dropout = 1", "true or false"],
        ),
        (
            "03_tangent_fractions",
            "quick",
            {"robust.classifier.budgets": 4.0},
            ["robust.classifier.budgets = 4.0", "a list of numbers"],
        ),
        (
            "03_tangent_fractions",
            "quick",
            {"robust.classifier.budgets": [4.0, "x"]},
            ["robust.classifier.budgets = 'x'", "a number"],
        ),
        (
            "03_tangent_fractions",
            "quick",
            {"robust.classifier.pgd_steps": 0},
            ["robust.classifier.pgd_steps = 0", "from 1 to"],
        ),
        ("03_tangent_fractions", "quick", {"manifold.vae.beta": float("nan")}, ["manifold.vae.beta = nan"]),
        ("03_tangent_fractions", "quick", {3: 4}, ["3"]),
        ("05_blockmnist", "quick", {"top": 5}, ["top = 5: write a number from 0 to 1"]),
        ("06_diffroar", "quick", {"removed": [20, 80]}, ["removed = 20: write a number from 0 to 1"]),
        ("06_diffroar", "quick", {"removed": 0.2}, ["removed = 0.2: write a list of numbers"]),
    ],
)
def test_refusals_quote_what_was_written_and_say_what_to_write(chapter, name, overrides, words):
    line = refusal(chapter, name, overrides)
    for word in words:
        assert word in line


SHARES = [
    *[("05_blockmnist", field) for field in ("top", "p_top")],
    *[("06_diffroar", field) for field in ("removed", "mean_removed", "shares", "scarce", "share", "larger_shares")],
    *[("06_diffroar", field) for field in ("conv_shares", "block_share")],
]


def test_a_list_may_be_empty_where_a_preset_has_it_so():
    for field in ("instrument_n", "instrument_k"):
        with pytest.raises(UsageError, match=re.escape(f"{field} = []: write one value at least")):
            presets.get("02_mnist32_generation", "gpu", {field: []})
    with pytest.raises(UsageError, match="mlp_robust"):
        presets.get("05_blockmnist", "quick", {"mlp_robust.budgets": ()})
    assert presets.get("05_blockmnist", "paper", {"mlp.schedule.drops": []}).mlp.schedule.drops == ()


def test_the_source_of_chapter_07_is_one_that_it_knows():
    with pytest.raises(UsageError, match="source = 'mnist': write one of strokes, generated"):
        presets.get("07_exact_score", "quick", {"source": "mnist"})


@pytest.mark.parametrize(("chapter", "field"), SHARES)
def test_a_share_lies_between_zero_and_one(chapter, field):
    listed = isinstance(presets.flat(QUICK[chapter])[field], tuple)
    for value in (0, 0.5, 1):
        presets.get(chapter, "quick", {field: [value] if listed else value})
    for value in (-0.1, 1.01, 20, float("nan")):
        line = refusal(chapter, "quick", {field: [0.5, value] if listed else value})
        assert line.startswith(f"{field} = {value!r}: write a number from 0 to 1")
    for name in PRESETS:
        value = presets.flat(presets.get(chapter, name))[field]
        assert all(0 <= one <= 1 for one in (value if listed else [value]))


def test_no_field_that_is_called_a_share_is_without_its_bounds():
    def share(hint):
        return limits(typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint) == (0, 1)

    bounded = [(chapter, field) for chapter, field in FIELDS if share(kind(chapter, field))]
    assert sorted(bounded) == sorted(SHARES)
    words = ("share", "removed", "prob", "top")
    named = [(c, field) for c, field in FIELDS if any(word in field.split(".")[-1] for word in words)]
    assert [one for one in named if one not in SHARES and kind(*one) in (float, tuple[float, ...])] == []
