// From the state of the finest level to what the caller gets.

struct Store {
    float *state;
    Control *control;
    void *flow;  // (pairs, 2, height, width), float32 or bytes
    Plane plane;
    float bound;  // of the quantisation, px; 0: float32 is wanted
    float scale;  // 127.5 / bound
};

// Writes the flow as float32, or as bytes the way tsn.flow.quantise does, counting what is cut off.
KERNEL(store, Store) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!a.plane.holds(y, x)) return;
    Control &control = a.control[blockIdx.z];
    const float *flow = side_of(a.state, a.plane, blockIdx.z, control.side);
    for (int c = 0; c < 2; c++) {
        const float value = flow[c * a.plane.size() + size_t(y) * a.plane.stride + x];
        const size_t at = ((size_t(blockIdx.z) * 2 + c) * a.plane.height + y) * a.plane.width + x;
        if (a.bound > 0) {
            // Rounded after each operation: the bytes are those of the same float32 flow on a CPU.
            const float byte = floorf(__fadd_rn(__fmul_rn(value, a.scale), 128.f));
            static_cast<unsigned char *>(a.flow)[at] = fminf(fmaxf(byte, 0.f), 255.f);
            if (fabsf(value) > a.bound) atomicAdd(&control.clipped, 1);
        } else {
            static_cast<float *>(a.flow)[at] = value;
        }
    }
}
