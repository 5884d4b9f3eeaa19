"""Progress bars, on a terminal and in a notebook."""
