"""What everything else stands on: errors, the frozen base model, exact fractions, the plug-in registry."""
