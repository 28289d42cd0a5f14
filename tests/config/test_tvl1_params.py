import subprocess
import sys

import pytest

from tsn.config.document import Document
from tsn.config.fields import build
from tsn.config.tvl1_params import TVL1Params
from tsn.runtime.errors import UserError


def test_defaults_are_those_of_opencv_cuda():
    # cv::cuda::OpticalFlowDual_TVL1::create in opencv2/cudaoptflow.hpp.
    assert TVL1Params().as_dict() == {
        "tau": 0.25,
        "lambda_": 0.15,
        "theta": 0.3,
        "scales": 5,
        "scale_step": 0.8,
        "warps": 5,
        "epsilon": 0.01,
        "iterations": 300,
        "median_filter": 1,
        "gamma": 0.0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tau", 0.0),
        ("tau", float("nan")),
        ("lambda_", -1.0),
        ("theta", "small"),
        ("pyramid_levels", 0),
        ("pyramid_levels", 2.5),
        ("scale_step", 1.0),
        ("warps", True),
        ("epsilon", -0.1),
        ("iterations", 45),
        ("median_filter", 3),
        ("gamma", float("inf")),
        ("variant", "cuda"),
    ],
)
def test_a_bad_value_is_refused_by_the_parameters_name(name, value):
    with pytest.raises(UserError, match=f"parameter {name}: "):
        TVL1Params(**{name: value})


def test_a_parameter_that_there_is_not_is_refused():
    with pytest.raises(UserError, match="parameter lambda: there is no such key"):
        TVL1Params(**{"lambda": 0.1})


def test_the_variant_is_in_the_record_where_it_is_not_the_first():
    params = TVL1Params(variant="opencv_cuda")
    assert params.as_dict()["variant"] == "opencv_cuda"
    for some in (params, TVL1Params(warps=3)):
        assert TVL1Params.from_record({"backend": "native", **some.as_dict()}) == some


def test_a_layer_of_the_configuration_may_name_the_variant_alone():
    assert build(Document, {"flow": {"variant": "opencv_cuda"}}).flow.variant == "opencv_cuda"


def test_the_variant_of_opencv_cuda_has_no_median_filter():
    with pytest.raises(UserError, match="variant: 'opencv_cuda' has no median filter: set median"):
        TVL1Params(median_filter=5, variant="opencv_cuda")


@pytest.mark.parametrize(("iterations", "rounds"), [(300, (10, 30)), (30, (1, 30)), (7, (1, 7))])
def test_iterations_split_into_rounds_of_at_most_30(iterations, rounds):
    params = TVL1Params(iterations=iterations)
    assert (params.outer_iterations, params.inner_iterations) == rounds


def test_importing_the_parameters_loads_nothing_heavy():
    heavy = "{'numpy', 'cv2', 'numba', 'torch'}"
    code = f"import sys, tsn.config.tvl1_params; print({heavy} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.strip() == "set()", printed.stderr
