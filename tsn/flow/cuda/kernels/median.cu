// The median filter between iterations.

// Filters x and y flow with a 5 x 5 median, edges repeated outwards; the other planes are copied along.
__device__ void median_pixel(const Level &level, const Tile &tile, int y, int x) {
    const Plane &plane = level.plane;
    const size_t size = plane.size(), at = size_t(y) * plane.stride + x;
    const float *from = level.side(tile.slot, tile.side);
    float *to = level.side(tile.slot, 1 - tile.side);
    for (int c = 0; c < 2; c++) {
        float wire[25];
        for (int column = 0; column < 5; column++) {
            const int from_x = min(max(x + column - 2, 0), plane.width - 1);
            for (int row = 0; row < 5; row++) {
                const int from_y = min(max(y + row - 2, 0), plane.height - 1);
                wire[5 * column + row] = from[c * size + size_t(from_y) * plane.stride + from_x];
            }
        }
        MEDIAN_NETWORK(wire)
        to[c * size + at] = wire[MEDIAN_WIRE];
    }
    for (int k = 2; k < 3 * COMPONENTS; k++) to[k * size + at] = from[k * size + at];
}
