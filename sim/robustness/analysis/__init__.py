"""What lies behind a score: surfaces, perturbations, transfer."""
