"""What everything stands on: errors, files, integer arithmetic, scales, convolutions, metrics, quantities."""
