"""Few Triton kernels a batch: all steps of its images in one launch, its learning in one more a projection."""
