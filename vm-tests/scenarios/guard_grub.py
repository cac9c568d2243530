"""A real firmware and a real GRUB: its next boot tries a system, once; what panics, or is worse, is followed by the one before."""
# machine: laptop by grub
# limit: 1500 s

if laptop.execute("test -e /etc/NIXOS")[0] == 0:
    skip("it puts stand-ins in the place of the running system")

# as NixOS's: what `grub-reboot` sets comes first, then the default, then all generations in a menu of their own
GRUB = r"""#!/bin/sh
set -eu
entry() {
    printf 'menuentry "%s" --class nixos --unrestricted {\n  linux /EFI/nixos/linux.efi init=%s/init %s %s\n  initrd /EFI/nixos/initrd.efi\n}\n' \
        "$1" $2 "$(cat /var/lib/lab-params)" "$(cat $2/kernel-params)"
}
{
    echo 'if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ]; then
  set default="${next_entry}"
  set next_entry=
  save_env next_entry
  set timeout=1
  set boot_once=true
else
  set default="0"
  set timeout=0
fi'
    entry NixOS $1
    echo 'submenu "NixOS - All configurations" --class submenu {'
    for link in $(ls -rv -d /nix/var/nix/profiles/system-*-link); do
        entry "NixOS - Configuration $(basename $link | tr -dc 0-9) (2026-01-01 - 26.05)" $(readlink $link)
    done
    echo '}'
} > /boot/grub/grub.cfg.tmp
mv /boot/grub/grub.cfg.tmp /boot/grub/grub.cfg
sync --file-system /boot
"""

with subtest("the machine is booted by its firmware and GRUB from now on"):
    boot_partition(laptop)
    base = first_system(laptop, GRUB)
    wholly_booted(laptop, base)

with subtest("tried by a boot, and kept after the grace of that boot"):
    good = system(laptop, "good", lab_more=SERVICE.format("/bin/sleep infinity"))
    staged(laptop, good)
    kept_by_a_boot(laptop, base, good)

with subtest("a unit fails, the kernel panics"):
    ends = {system(laptop, "worse", lab_more=SERVICE.format("/bin/false")): ("undone", "unhealthy"),
            system(laptop, "panics", params="rdinit=/nowhere"): ("candidate_did_not_boot", "did_not_boot")}
    each_comes_back(laptop, good, ends)
