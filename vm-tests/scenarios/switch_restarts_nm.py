"""The command switches the system, which restarts NetworkManager, and exits with 4 or 1: its work is done, and it is not repeated."""
# machine: laptop with networkmanager

access_point(laptop)
wifi(laptop)
for code in 4, 1:
    profile(laptop, f"switch-{code}", final_if_changed=["/run/current-system"],
            final_exit_status=[4, 100])
    # a link to what is there already, so that nothing else notices
    service(laptop, f"switch-{code}", f"""
echo run >> /run/lab/switch-{code}.runs
systemctl restart NetworkManager
ln -sfn "$(readlink -f /run/current-system || echo /)" /run/lab/generation-{code}
ln -sfn /run/lab/generation-{code} /run/current-system
exit {code}""", gated=f"switch-{code}")

for code in 4, 1:
    with subtest(f"exit {code} after the switch is the end of it"):
        online(laptop)
        laptop.succeed(f"systemctl start --no-block switch-{code}")
        laptop.wait_until_succeeds(f"test $(systemctl show -P ExecMainStatus switch-{code}) = {code}", timeout=120)
        online(laptop)
        laptop.sleep(5)
        assert runs(laptop, f"switch-{code}") == 1
        assert laptop.get_unit_property(f"switch-{code}.service", "NRestarts") == "0"
