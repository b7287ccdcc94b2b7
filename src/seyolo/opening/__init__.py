"""The one door for a MODEL: describe it, load it, open it for training or for detection."""
