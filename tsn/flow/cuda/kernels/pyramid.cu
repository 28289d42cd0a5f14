// Pyramids of frames and of flow.

constexpr int MARGIN = 4;         // zeros around a packed frame, as in tsn/flow/cpu/warp.py

struct Load {
    const void *frames;  // (count, height, width), bytes or float32
    float *grey;
    Plane plane;
    int is_float;
};

KERNEL(load, Load) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.plane.holds(y, x)) return;
    const size_t from = (size_t(blockIdx.z) * a.plane.height + y) * a.plane.width + x;
    const float value = a.is_float ? static_cast<const float *>(a.frames)[from]
                                   : static_cast<const unsigned char *>(a.frames)[from];
    a.grey[blockIdx.z * a.plane.size() + size_t(y) * a.plane.stride + x] = value;
}

// One axis of a linear resize: for every target position two source positions and the second's weight.
struct Axis {
    const int *first, *second;
    const float *weight;
};

struct Resize {
    const float *source;  // planes of items: frames' greys, or a side of pairs' states
    float *target;
    Plane from, to;
    long long source_item, target_item;  // distance between items, in values
    Axis rows, columns;
    const Control *control;  // if not null, the source's side of a pair begins 3 * COMPONENTS planes later
    int planes;
    float factor[3];
};

KERNEL(resize, Resize) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.to.holds(y, x)) return;
    const size_t item = blockIdx.z;
    const float *source = a.source + item * a.source_item;
    if (a.control && a.control[item].side) source += 3 * COMPONENTS * a.from.size();
    const size_t above = size_t(a.rows.first[y]) * a.from.stride;
    const size_t below = size_t(a.rows.second[y]) * a.from.stride;
    const int left = a.columns.first[x], right = a.columns.second[x];
    const float wx = a.columns.weight[x], wy = a.rows.weight[y];
    for (int k = 0; k < a.planes; k++, source += a.from.size()) {
        const float upper = source[above + left] * (1 - wx) + source[above + right] * wx;
        const float lower = source[below + left] * (1 - wx) + source[below + right] * wx;
        a.target[item * a.target_item + k * a.to.size() + size_t(y) * a.to.stride + x] =
            (upper * (1 - wy) + lower * wy) * a.factor[k];
    }
}

struct Pack {
    const float *grey;
    float4 *packed;  // (count, height + 2 MARGIN, width + 2 MARGIN): grey, x and y gradient, 0
    Plane plane;
};

KERNEL(pack, Pack) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.plane.holds(y, x)) return;
    const int height = a.plane.height, width = a.plane.width, stride = a.plane.stride;
    const float *grey = a.grey + blockIdx.z * a.plane.size();
    const int left = max(x - 1, 0), right = min(x + 1, width - 1);
    const int up = max(y - 1, 0), down = min(y + 1, height - 1);
    const size_t row = size_t(y) * stride;
    const size_t at = (size_t(blockIdx.z) * (height + 2 * MARGIN) + y + MARGIN) * (width + 2 * MARGIN);
    a.packed[at + x + MARGIN] = make_float4(
        grey[row + x], .5f * (grey[row + right] - grey[row + left]),
        .5f * (grey[size_t(down) * stride + x] - grey[size_t(up) * stride + x]), 0.f);
}
