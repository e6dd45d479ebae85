"""From a run to a weights folder, and to the Hub."""
