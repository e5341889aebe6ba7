"""A competition's files from Kaggle, by Kaggle's own client (the extra ``kaggle``).

kaggle     the client: who asks, what there is, where it can be downloaded
patience   failures that pass
transfer   an address to a file
unpack     a zip to files
fetch      all of it
"""
