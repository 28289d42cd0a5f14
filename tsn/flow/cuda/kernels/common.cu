// TV-L1 on a GPU, many pairs of frames at a time: the method of tsn/flow/cpu, line by line.
//
// Planes are float32, `height` rows of `stride` columns; what lies right of `width` is zero and stays so.
//
// The pyramids of the frames are built by one launch per level. Everything else is one launch of `solve`,
// whose blocks take tiles from a work queue: see queue.cu.
//
// Pairs are independent, and sums are taken in a fixed order: the flow of a pair depends on its two frames
// and the parameters alone.
//
// constants.h (written by source.py) has COMPONENTS, the planes of the flow: 2, or 3 with the illumination
// term; and OPENCV_CUDA, whether the answers are those of cv2.cuda, not of cv2.optflow. target.h says how a kernel begins: KERNEL(name, Arguments) gets one structure `a`; KERNEL_OF(threads,
// blocks, name, Arguments) also says how many threads a block has and how many blocks fit a multiprocessor.

#include "constants.h"
#include "median_network.h"
#include "target.h"

struct Plane {
    int height, width, stride;
    __device__ size_t size() const { return size_t(height) * stride; }
    __device__ bool holds(int y, int x) const { return x < width && y < height; }
};

// One axis of a linear resize: for every target position two source positions and the second's weight.
struct Axis {
    const int *first, *second;
    const float *weight;
};
