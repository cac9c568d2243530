"""Boot without a network, with a gated unit wanted at boot: the boot finishes, the system is not degraded, and stopping the unit is not a failure."""
# machine: laptop with networkmanager

units = boot_units(laptop)
laptop.wait_until_succeeds("systemctl is-system-running", timeout=120)
write(laptop, "/etc/upgrade-gate/upgrade-gate.d/lab.toml", f'[profile.lab]\ntargets = ["{TARGET}"]\n')
write(laptop, f"{units}/at-boot.service",
      f"[Service]\nType=exec\nSuccessExitStatus=75\nExecStart={gate(laptop)} run --profile lab -- {shell(laptop)} -c 'touch /var/ran'\n")
laptop.succeed(f"mkdir -p {units}/multi-user.target.wants; ln -s ../at-boot.service {units}/multi-user.target.wants/", "sync")
laptop.shutdown()
laptop.start()

with subtest("the boot finishes as if there were no gate"):
    laptop.wait_until_succeeds("systemctl is-system-running | grep -x running", timeout=300)
    held(laptop, "(no_network|no_route|dns|unreachable)")
    assert laptop.get_unit_property("at-boot.service", "ActiveState") == "active"

with subtest("stopped while it waits, it is not failed"):
    laptop.succeed("systemctl stop at-boot.service")
    never_failed(laptop, "at-boot.service")
    laptop.succeed("systemctl is-system-running | grep -x running")
    laptop.fail("test -e /var/ran")
