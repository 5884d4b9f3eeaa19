"""Networks on Triton kernels: dense ones in few launches a batch, those of maps in a few a step, and one CUDA graph."""
