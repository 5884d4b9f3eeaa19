"""A worker that creates shared memory which nothing would release, and is then ended."""

import time
from multiprocessing import resource_tracker, shared_memory

from sim.backends.lava.worker.main import run_worker_main


def leak(folder):
    memory = shared_memory.SharedMemory(create=True, size=16)
    resource_tracker.unregister(f"/{memory.name}", "shared_memory")
    (folder / "name").write_text(memory.name)
    time.sleep(60)


if __name__ == "__main__":
    run_worker_main(leak)
