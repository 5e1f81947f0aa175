"""The closed box: programs run here with nothing but what a grant names."""
