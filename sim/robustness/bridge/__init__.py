"""From attacks on a twin to scores of the deployed integers."""
