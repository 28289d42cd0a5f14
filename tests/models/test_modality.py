import pytest

from tsn.models.modality import MODALITIES, STREAM_OF, channels_of, check_modality, snippet_frames
from tsn.runtime.errors import UserError


@pytest.mark.parametrize(
    ("modality", "channels"),
    # Wang et al. 2016, section 3.2, and tsn-pytorch: 5 flow fields or differences.
    [("rgb", 3), ("flow", 10), ("warped_flow", 10), ("rgb_diff", 15)],
)
def test_a_snippet_has_three_channels_per_image_and_two_per_flow_field(modality, channels):
    assert channels_of(modality) == channels
    assert channels_of(modality, 3) == (channels if modality == "rgb" else channels * 3 / 5)


def test_what_a_snippet_reads():
    """Six frames give five differences; warped flow has shards of its own."""
    assert [snippet_frames(name) for name in MODALITIES] == [1, 5, 5, 6]
    assert [snippet_frames(name, 8) for name in MODALITIES] == [1, 8, 8, 9]
    own = ("rgb", "flow", "warped_flow")
    assert tuple(STREAM_OF[name] for name in own) == own
    assert STREAM_OF["rgb_diff"] == "rgb"


def test_an_unknown_modality_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"'depth'.*rgb, flow, warped_flow, rgb_diff"):
        check_modality("depth")
