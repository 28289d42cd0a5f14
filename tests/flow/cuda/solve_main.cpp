// Runs a launch of `solve` that a file holds: arguments, grid, and the memory that they point to.
//
// solve LAUNCH RESULT: RESULT gets the memory named first.

#include <inttypes.h>

template <typename T> static T next(FILE *file) {
    T value;
    if (fread(&value, sizeof value, 1, file) != 1) abort();
    return value;
}

int main(int, char **files) {
    FILE *launch = fopen(files[1], "rb"), *result = fopen(files[2], "wb");
    Solve a = next<Solve>(launch);
    const unsigned blocks = next<unsigned>(launch), count = next<unsigned>(launch);
    std::vector<char *> memory(count);
    uint64_t first_size = 0;
    for (unsigned k = 0; k < count; k++) {
        const uint64_t address = next<uint64_t>(launch), size = next<uint64_t>(launch);
        memory[k] = static_cast<char *>(aligned_alloc(64, (size + 63) / 64 * 64));
        if (fread(memory[k], 1, size, launch) != size) abort();
        for (uint64_t *word = reinterpret_cast<uint64_t *>(&a); word < reinterpret_cast<uint64_t *>(&a + 1); word++) {
            if (*word >= address && *word < address + size) *word = uint64_t(memory[k]) + (*word - address);
        }
        if (k == 0) first_size = size;
    }
    emulate_solve(&a, blocks, 1, 1, 32, WARPS);
    fwrite(memory[0], 1, first_size, result);
    fclose(result);
}
