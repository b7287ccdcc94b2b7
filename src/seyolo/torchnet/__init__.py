"""The torch module of a network description: layers, attention, decoding, and the builder."""
