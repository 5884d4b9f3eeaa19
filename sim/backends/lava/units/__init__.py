"""Our own Lava processes and their models; Lava imports every file beside a process, so nothing else lives here."""
