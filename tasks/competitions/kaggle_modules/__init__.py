"""Competitions whose preparing is code, one module each: `module = "name"` in competition.toml.

Such a module has one function:

    def prepare(raw: Raw, out: Output) -> None

`raw` (`competitions.raw.files.Raw`) finds raw files, in folders and archives alike:

    raw.table("train.csv")       a table with text cells, as `polars.DataFrame`
    raw.names("train/*.jpg")     the paths that match, in the order of Python's `sorted(Path...)`
    raw.read("labels.txt")       the bytes of one
    raw.local("train.tfrec")     a path on disk to one, for libraries that want that

`out` (`competitions.output.Output`) takes what is made:

    out.table("train.csv", frame)                for agents
    out.file("train/cat.7.jpg", "test/1.jpg")    a raw file, for agents: moved, never read
    out.write("notes.txt", data)                 bytes, for agents
    out.sample(frame)                            the sample submission; `file=` for another name
    out.answers(frame)                           ids, truth and what the metric asks for
    out.reference(frame)                         the answers as a submission, where the form alone
                                                 does not say how they are handed in

It must do the same at each call: seeds are written down in it, and nothing depends on the clock,
the machine or the order in which a directory lists its files. What is wrong with raw files is a
`TaskError`; what is missing, `raw` and `out` say themselves.
"""
