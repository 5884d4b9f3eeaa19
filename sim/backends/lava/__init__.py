"""The Lava backend: the same spec as a graph of Lava processes on CPU.

Only `processes`, `models`, `graph` and the workers import lava, and only inside a worker process; all else here can be
imported anywhere. Lava imports every module of this folder while it searches for models: none may do work on import.
"""
