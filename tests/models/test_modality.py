import pytest

from tsn.models.modality import SNIPPET_ROWS, STREAM_OF, channels_of, check_modality
from tsn.runtime.errors import UserError


@pytest.mark.parametrize(
    ("modality", "length", "channels"),
    [
        # Wang et al. 2016, section 3.2, and tsn-pytorch: 5 flow fields or differences.
        ("rgb", None, 3),
        ("flow", None, 10),
        ("warped_flow", None, 10),
        ("rgb_diff", None, 15),
        ("flow", 3, 6),
        ("rgb_diff", 2, 6),
    ],
)
def test_a_snippet_has_three_channels_per_image_and_two_per_flow(modality, length, channels):
    assert channels_of(modality, length) == channels


def test_an_rgb_snippet_is_one_frame_whatever_the_snippet_length():
    assert channels_of("rgb", 5) == 3


def test_what_a_snippet_reads():
    """Six frames give five differences; warped flow has shards of its own."""
    assert SNIPPET_ROWS == {"rgb": 1, "flow": 5, "warped_flow": 5, "rgb_diff": 6}
    own = ("rgb", "flow", "warped_flow")
    assert tuple(STREAM_OF[name] for name in own) == own
    assert STREAM_OF["rgb_diff"] == "rgb"


def test_an_unknown_modality_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"'depth'.*rgb, flow, warped_flow, rgb_diff"):
        check_modality("depth")


def test_a_snippet_length_below_one_is_refused():
    with pytest.raises(UserError, match="snippet_length 0"):
        channels_of("flow", 0)
