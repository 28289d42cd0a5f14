// The second frame warped by the flow, and the data term linearised there.

struct Cubic {
    int start;  // packed index of the first tap
    float weight[4];
};

// OpenCV's interpolateCubic; what is far outside reads what the margin has, as what is just outside does.
__device__ Cubic locate(float place, int size) {
    constexpr float A = OPENCV_CUDA ? -0.5f : -0.75f;
    const float whole = floorf(place), t = place - whole, s = 1 - t, far = t + 1;
    Cubic cubic;
    cubic.weight[0] = ((A * far - 5 * A) * far + 8 * A) * far - 4 * A;
    cubic.weight[1] = ((A + 2) * t - (A + 3)) * t * t + 1;
    cubic.weight[2] = ((A + 2) * s - (A + 3)) * s * s + 1;
    cubic.weight[3] = 1 - cubic.weight[0] - cubic.weight[1] - cubic.weight[2];
    cubic.start = int(fminf(fmaxf(whole, 1.f - MARGIN), size + 1.f)) + MARGIN - 1;
    return cubic;
}

__device__ void warp_pixel(const Solve &a, const Level &level, const Tile &tile, int pair, int y, int x) {
    const int height = level.plane.height, width = level.plane.width;
    const size_t size = level.plane.size(), at = size_t(y) * level.plane.stride + x;
    const float *flow = level.side(tile.slot, tile.side) + at;
    const float u1 = flow[0], u2 = flow[size];
    const Cubic across = locate(x + u1, width), down = locate(y + u2, height);
    const int stride = width + 2 * MARGIN;
    const float4 *tap = level.packed + size_t(pair + a.apart) * (height + 2 * MARGIN) * stride +
                        size_t(down.start) * stride + across.start;
    float4 column[4] = {};
    for (int r = 0; r < 4; r++, tap += stride) {
        for (int k = 0; k < 4; k++) {
            column[k].x += tap[k].x * down.weight[r];
            column[k].y += tap[k].y * down.weight[r];
            column[k].z += tap[k].z * down.weight[r];
        }
    }
    float value = 0, gx = 0, gy = 0;
    for (int k = 0; k < 4; k++) {
        value += column[k].x * across.weight[k];
        gx += column[k].y * across.weight[k];
        gy += column[k].z * across.weight[k];
    }
    float *data = level.data + size_t(tile.slot) * 3 * size + at;
    data[0] = gx;
    data[size] = gy;
    data[2 * size] = ((value - gx * u1) - gy * u2) - level.grey[size_t(pair) * size + at];
}
