"""An independent reference for the simulator's numbers: nothing here imports ``sim``."""
