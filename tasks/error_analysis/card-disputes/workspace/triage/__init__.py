"""Card triage: which incoming transactions should the disputes desk look at?"""
