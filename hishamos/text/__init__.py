"""Text statistics that the offline model and the library share: words, sentences, similarity, concepts. Pure functions, standard library only."""
