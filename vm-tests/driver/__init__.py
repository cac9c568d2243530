"""The test driver of the lab: the verbs of NixOS's test driver, for Debian guests under QEMU."""
