"""Publishing a run: a weights folder with a model card, uploaded to the Hub."""
