"""Our own TV-L1 engine on a GPU: CUDA C++, compiled at run time by what torch brings along."""
