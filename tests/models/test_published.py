"""Weights by name."""

from pathlib import Path

import pytest

from tsn.models.download import expected_digits
from tsn.models.published import FILES, NAMES, find

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.mark.parametrize("key", FILES, ids="-".join)
def test_a_published_file_has_its_checksum_in_its_name_and_stands_in_the_docs(key):
    name, backbone, modality = key
    file = FILES[key]
    assert name in NAMES
    assert len(expected_digits(file.address, None)) >= 8
    row = next(line for line in PAGE.read_text().splitlines() if file.address in line)
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[1:4] == [f"`{name}`", f"`{backbone}`", modality]
    assert cells[4] == (f"{file.accuracy}" if file.accuracy else "")
    assert cells[5] == file.licence


@pytest.mark.parametrize(
    ("backbone", "modality", "digits"),
    [
        ("resnet50", "rgb", "2692d16c"),
        ("resnet50", "warped_flow", "1f39486b"),
        ("resnet50", "rgb_diff", "2692d16c"),
        ("resnet101", "flow", "23cff032"),
    ],
)
def test_flow_has_a_file_of_its_own_or_starts_from_that_of_rgb(backbone, modality, digits):
    assert find("kinetics400", backbone, modality).endswith(f"-{digits}.pth")


@pytest.mark.parametrize("weights", ["net.pth", "https://host/net.pth", "none", "imagenet"])
def test_other_weights_stay_as_they_are(weights):
    assert find(weights, "resnet50", "rgb") == weights
