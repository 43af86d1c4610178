"""The tool that tells whether a change of the code has changed a number."""

import json

import compare_results as compare


def write(path, **values):
    metrics = {name: {"value": v, "low": None, "high": None, "n": 1, "unit": ""} for name, v in values.items()}
    path.write_text(json.dumps({"metrics": metrics}))
    return path


def test_equal_numbers_are_no_difference_wherever_they_lie(tmp_path, capsys):
    one = write(tmp_path / "01_all.json", a=1.0, b=2.0)
    parts = tmp_path / "parts"
    parts.mkdir()
    write(parts / "01a_first.json", b=2.0)
    write(parts / "01b_second.json", a=1.0)
    (parts / "01a_first.run.json").write_text("{}")
    assert compare.main([str(one), str(parts)]) == 0
    assert capsys.readouterr().out == "the same numbers\n"


def test_every_difference_is_a_line(tmp_path, capsys):
    before, after = write(tmp_path / "a.json", a=1.0, b=2.0, c=3.0), write(tmp_path / "b.json", a=1.0, b=2.5, d=4.0)
    assert compare.main([str(before), str(after)]) == 1
    assert capsys.readouterr().out.splitlines() == ["c: gone", "d: new", "b: value 2.0 -> 2.5"]


def test_a_tolerance_lets_rounding_pass(tmp_path):
    before, after = write(tmp_path / "a.json", a=1.0), write(tmp_path / "b.json", a=1.0 + 1e-12)
    assert compare.main([str(before), str(after)]) == 1
    assert compare.main([str(before), str(after), "--tolerance", "1e-9"]) == 0


def test_an_interval_that_appears_is_a_difference():
    exact = {"value": 1.0, "low": None, "high": None, "n": 1}
    found = compare.differences({"a": exact}, {"a": exact | {"low": 0.5, "high": 1.5, "n": 9}})
    assert found == ["a: low None -> 0.5", "a: high None -> 1.5", "a: n 1 -> 9"]
