"""OpenCV's cuda::OpticalFlowDual_TVL1 in NumPy: whole arrays, nothing shared with the engines.

Written after modules/cudaoptflow of opencv_contrib (2a5154a) and `cuda::resize`.
"""

import numpy as np

from tsn.config.tvl1_params import TVL1Params


def reference_flow(first: np.ndarray, second: np.ndarray, params: TVL1Params) -> np.ndarray:
    """The flow (2, H, W) between two frames (H, W) on the 0..255 scale."""
    levels = [(first.astype(np.float32), second.astype(np.float32))]
    while len(levels) < params.pyramid_levels:
        height, width = (round(side * params.scale_step) for side in levels[-1][0].shape)
        if min(height, width) < 16:
            break
        scales = (1 / params.scale_step,) * 2
        levels.append(tuple(_resize(frame, (height, width), scales) for frame in levels[-1]))
    flow = np.zeros((3 if params.gamma else 2, *levels[-1][0].shape), np.float32)
    for n, frames in reversed(list(enumerate(levels))):
        flow = _solve(*frames, flow, params)
        if n:
            size = levels[n - 1][0].shape
            ratios = [a / b for a, b in zip(flow.shape[1:], size, strict=True)]
            flow = np.stack([_resize(plane, size, ratios) for plane in flow])
            flow[:2] *= np.float32(1 / params.scale_step)
    return flow[:2]


def _resize(image, size, scales):
    """Bilinear, with pixel 0 on pixel 0."""
    (y, y1, y2), (x, x1, x2) = (
        (place, whole, np.minimum(whole + 1, limit - 1))
        for place, limit in (
            (np.arange(side, dtype=np.float32) * np.float32(scale), limit)
            for side, scale, limit in zip(size, scales, image.shape, strict=True)
        )
        for whole in [np.floor(place).astype(int)]
    )
    wy, wx = (y - y1)[:, None], (x - x1)[None]
    upper = image[y1][:, x1] * (1 - wx) + image[y1][:, x2] * wx
    lower = image[y2][:, x1] * (1 - wx) + image[y2][:, x2] * wx
    return (upper * (1 - wy) + lower * wy).astype(np.float32)


def _solve(first, second, flow, params):
    edge = np.pad(second, 1, "edge")
    gradients = (edge[1:-1, 2:] - edge[1:-1, :-2]) / 2, (edge[2:, 1:-1] - edge[:-2, 1:-1]) / 2
    dual = np.zeros((len(flow), 2, *first.shape), np.float32)
    step, taut = np.float32(params.lambda_ * params.theta), np.float32(params.tau / params.theta)
    theta, gamma = np.float32(params.theta), np.float32(params.gamma)
    threshold = params.epsilon**2 * first.size
    for _ in range(params.warps):
        warped, gx, gy = (_sample(plane, flow) for plane in (second, *gradients))
        gradient = gx * gx + gy * gy
        constant = warped - gx * flow[0] - gy * flow[1] - first
        weights = [gx, gy, gamma][: len(flow)]
        left = 0.0  # of the last error, less the threshold for each iteration since
        for n in range(params.iterations):
            rho = constant + sum(w * u for w, u in zip(weights, flow, strict=True))
            slope = np.where(gradient > 2**-23, -rho / np.maximum(gradient, 2**-23), 0)
            shift = np.where(rho < -step * gradient, step, slope)
            shift = np.where(rho > step * gradient, -step, shift)
            before = flow
            flow = np.stack(
                [
                    u + shift * w + theta * _divergence(*p)
                    for u, w, p in zip(flow, weights, dual, strict=True)
                ]
            ).astype(np.float32)
            error = np.inf
            if threshold > 0 and n % 2 and left < threshold:
                left = error = np.square(flow - before)[:2].sum(dtype=float)
            else:
                left -= threshold
            for u, p in zip(flow, dual, strict=True):
                along = np.diff(u, axis=1, append=u[:, -1:]), np.diff(u, axis=0, append=u[-1:])
                p[...] = (p + taut * np.stack(along)) / (1 + taut * np.hypot(*along))
            if error <= threshold:
                break
    return flow


def _divergence(px, py):
    return np.diff(px, axis=1, prepend=0) + np.diff(py, axis=0, prepend=0)


def _sample(image, flow):
    """Bicubic, normalised by the weights; outside the frame is what its edge has."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    y, x = y + flow[1], x + flow[0]
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    total = weights = 0
    for row in range(-1, 3):
        for column in range(-1, 3):
            weight = _cubic(y - top - row) * _cubic(x - left - column)
            at = (top + row).clip(0, len(image) - 1), (left + column).clip(0, image.shape[1] - 1)
            total, weights = total + weight * image[at], weights + weight
    return (total / weights).astype(np.float32)


def _cubic(distance):
    d = np.abs(distance)
    near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
