// The median filter between iterations.

struct Median {
    float *state;
    Control *control;
    Plane plane;
};

// Filters x and y flow with a 5 x 5 median, edges repeated outwards; the other planes are copied along.
KERNEL(median, Median) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    Control &control = a.control[blockIdx.z];
    if (control.redo == CONVERGED) return;
    const int side = control.side;
    const size_t size = a.plane.size(), at = size_t(y) * a.plane.stride + x;
    const float *from = side_of(a.state, a.plane, blockIdx.z, side);
    float *to = side_of(a.state, a.plane, blockIdx.z, 1 - side);
    if (a.plane.holds(y, x)) {
        for (int c = 0; c < 2; c++) {
            float wire[25];
            for (int column = 0; column < 5; column++) {
                const int from_x = min(max(x + column - 2, 0), a.plane.width - 1);
                for (int row = 0; row < 5; row++) {
                    const int from_y = min(max(y + row - 2, 0), a.plane.height - 1);
                    wire[5 * column + row] = from[c * size + size_t(from_y) * a.plane.stride + from_x];
                }
            }
            MEDIAN_NETWORK(wire)
            to[c * size + at] = wire[MEDIAN_WIRE];
        }
        for (int k = 2; k < 3 * COMPONENTS; k++) to[k * size + at] = from[k * size + at];
    }
    if (is_last_block(control) && threadIdx.x == 0 && threadIdx.y == 0) {
        control.side = 1 - side;
        control.arrived = 0;
    }
}
