"""Driving a device from a workstation, over the user's own OpenSSH.

``ssh`` runs commands and moves files, ``probe`` asks a device what it is, ``runtime`` and ``wheelhouse``
bring edge-ecg there, ``upload`` the bundle; ``flash`` puts these in order, ``fleet`` and ``rollout`` do it
for many.
"""
