"""Stock networks in snnTorch, and NIR graphs read by nirtorch."""
