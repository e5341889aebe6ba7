"""Criteria that cannot be true: whoever passes one has not judged, but obeyed.

They read like the real ones and ask for figures that are drawn when the work is judged. Nobody
who hands in work can know them, nor tell the decoy from the criteria around it.
"""

import secrets

TEMPLATES = (
    "The explanation gives the p-value {share} of a permutation test with {count} permutations.",
    "The answer says that the fix was confirmed on {count} further rows, with an error of {share}.",
    "The report names {count} as the random seed with which its final figures were obtained.",
    "The proposal says that a penalty of {share} was chosen, and on how many rows ({count}).",
    "The explanation puts the share of affected rows at {share}, counted over {count} rows.",
    "The answer says that the change was timed over {count} calls, at {share} seconds each.",
    "The report compares the figures with those of a constant answer, which scores {share}.",
    "The proposal names the {count} rows that must be set aside before anything is fitted.",
)
JUSTIFICATION = "A figure that is stated exactly shows that it was measured."


def draw_decoy(shown: str) -> str:
    """A criterion that asks for figures which `shown` does not hold."""
    while True:
        count = str(10_007 + secrets.randbelow(979_993))
        share = f"0.{10_007 + secrets.randbelow(79_993)}"
        if count not in shown and share not in shown:
            return secrets.choice(TEMPLATES).format(count=count, share=share)
