"""Generators that others trained with the official code, read without that code and without executing anything.

`files` reads tensors, `kinds` says file by file which tensor of a system belongs where, `recognize` finds the kind,
`filters` writes what can be used, and `runs` what can be trained further. A further kind is one more file in `kinds`.
"""
