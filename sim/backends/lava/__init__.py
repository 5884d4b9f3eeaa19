"""The Lava backend: the same spec as a graph of Lava processes on CPU.

Only `processes`, `models`, `graph` and `worker` import lava, and only inside the worker process; `backend` can be
imported anywhere. Lava imports every module of this folder while it searches for models: none may do work on import.
"""
