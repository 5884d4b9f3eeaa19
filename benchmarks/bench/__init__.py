"""`settle bench`: one run, its competitors and the chip in one table; every cell says how it came about."""
