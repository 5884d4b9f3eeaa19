"""Every committed figure: how it is derived again, how it differs then, and how the site shows it."""
