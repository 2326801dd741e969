"""Text statistics that the offline model and the library share: words, sentences, similarity, concepts. Pure functions, standard library only.

``framing`` holds the words round a prompt's material, which the engine and the gateway share.
"""
