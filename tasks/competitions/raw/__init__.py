"""Raw files, as Kaggle or anybody hands them out: read as they are, and trusted in nothing.

archives    what is packed
files       all of it by path, as if it had been unpacked
cells       tables
tfrecords   names in TFRecords
"""
