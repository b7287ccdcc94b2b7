"""The Darknet description of a network: sections, wiring, cost, weights, edits and the zoo. numpy only."""
