"""Our own TV-L1 engine on the CPU, compiled by numba at its first use."""
