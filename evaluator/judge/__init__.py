"""The LLM judge: a model that reads prose, kept from being talked over.

`panel.Judge` is what graders use. It shows a model every criterion of a task that asks for a
reading (`prompt`), and beside them, as data between unguessable delimiters, what was handed in
(`material`, `changes`, `visible`). It asks several times (`votes`), each time with a criterion
among the others that cannot be true (`decoy`), within a budget (`purse`). `model` alone knows
litellm. `calibrate` holds a judge against labels given by people (`gold`).
"""
