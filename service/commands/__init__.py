"""The commands of ``hemiface``, a module each; what they need is imported when they run."""
