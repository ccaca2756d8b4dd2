"""What judges samples; knows no model."""
