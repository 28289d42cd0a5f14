"""Figures: written whole or not at all, the same bytes for the same content, any name drawn."""

import pytest

from tsn.report.style import colour, figure, name, printable


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_equal_pictures_are_equal_files(tmp_path, ending):
    files = [tmp_path / f"{n}.{ending}" for n in (1, 2)]
    for file in files:
        with figure(file, 2, 1) as axes:
            axes.plot([1, 2], [3, 4], label="a line")
            axes.legend()
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml"}[ending])


def test_a_picture_that_fails_leaves_the_old_one(tmp_path):
    file = tmp_path / "curves.png"
    file.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), figure(file, 2, 1):
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    assert file.read_bytes() == b"old"


def test_a_grid_has_as_many_axes_as_asked_for(tmp_path):
    with figure(tmp_path / "grid.png", 3, 2, rows=2, columns=3) as grid:
        assert grid.shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Clean & Jerk", "Clean & Jerk"),
        ("two\nlines\t", "two lines "),
        ("bytes \udcff", "bytes ?"),
        ("x" * 20 + "y" * 20, "x" * 13 + "…" + "y" * 14),
    ],
)
def test_names_of_any_kind_are_drawn(tmp_path, text, shown):
    assert printable(text) == shown
    with figure(tmp_path / "name.svg", 2, 1) as axes:
        axes.set_title(printable(text))


def test_a_dollar_starts_no_formula(tmp_path):
    with figure(tmp_path / "money.svg", 2, 1) as axes:
        axes.set_title(r"$\bill$")  # as a formula, an unknown symbol
    assert (tmp_path / "money.svg").stat().st_size > 0


def test_a_name_that_is_no_modality_has_a_grey_of_its_own():
    assert name("warped_flow") == "warped flow"
    assert name("two streams") == "two streams"
    assert colour("two streams") not in (colour("rgb"), colour("fused"))
