"""From a recipe and its data to a model folder with a manifest. Knows `inference`'s folders and `protocol` only."""
