// Pyramids of frames.

struct Load {
    const void *frames;  // (count, height, width), uint8 or float32
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

__device__ float interpolate(const float *source, const Plane &from, const Axis &rows, const Axis &columns, int y,
                             int x) {
    const float *above = source + size_t(rows.first[y]) * from.stride;
    const float *below = source + size_t(rows.second[y]) * from.stride;
    const int left = columns.first[x], right = columns.second[x];
    const float wx = columns.weight[x], wy = rows.weight[y];
    const float upper = above[left] * (1 - wx) + above[right] * wx;
    const float lower = below[left] * (1 - wx) + below[right] * wx;
    return upper * (1 - wy) + lower * wy;
}

struct Resize {
    const float *source;  // planes, one after the other
    float *target;
    Plane from, to;
    Axis rows, columns;
};

KERNEL(resize, Resize) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.to.holds(y, x)) return;
    const float *source = a.source + blockIdx.z * a.from.size();
    float *target = a.target + blockIdx.z * a.to.size() + size_t(y) * a.to.stride + x;
    *target = interpolate(source, a.from, a.rows, a.columns, y, x);
}

struct Pack {
    const float *grey;
    float4 *packed;  // (count, height + 2 MARGIN, width + 2 MARGIN): grey, x and y gradient, 0
    Plane plane;
};

constexpr int BORDER = OPENCV_CUDA ? MARGIN : 0;  // pixels around a frame that get what its edge has

KERNEL(pack, Pack) {
    const int across = blockIdx.x * blockDim.x + threadIdx.x, down = blockIdx.y * blockDim.y + threadIdx.y;
    if (across >= a.plane.width + 2 * BORDER || down >= a.plane.height + 2 * BORDER) return;
    const int x = BORDER ? min(max(across - BORDER, 0), a.plane.width - 1) : across;
    const int y = BORDER ? min(max(down - BORDER, 0), a.plane.height - 1) : down;
    const int height = a.plane.height, width = a.plane.width, stride = a.plane.stride;
    const float *grey = a.grey + blockIdx.z * a.plane.size();
    const int left = max(x - 1, 0), right = min(x + 1, width - 1);
    const int up = max(y - 1, 0), below = min(y + 1, height - 1);
    const size_t row = size_t(y) * stride;
    const size_t at = (size_t(blockIdx.z) * (height + 2 * MARGIN) + down + MARGIN - BORDER) * (width + 2 * MARGIN);
    a.packed[at + across + MARGIN - BORDER] = make_float4(
        grey[row + x], .5f * (grey[row + right] - grey[row + left]),
        .5f * (grey[size_t(below) * stride + x] - grey[size_t(up) * stride + x]), 0.f);
}
