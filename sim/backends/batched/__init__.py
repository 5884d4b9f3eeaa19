"""The batched backend in torch: whole batches of integers at a time, on a CPU or a GPU."""
