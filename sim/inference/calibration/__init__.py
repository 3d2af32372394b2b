"""From repeated runs to the parameters of a difficulty model, with their uncertainty."""
