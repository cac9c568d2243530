"""NetworkManager without a connectivity check reports FULL on a network whose DNS does not answer: the gate stays held."""
# machine: laptop with networkmanager

cable(laptop)
laptop.succeed("systemctl stop lab-dns")
laptop.succeed("nmcli device set wan0 managed yes",
               "nmcli connection add type ethernet con-name wan ifname wan0 ipv4.method manual ipv4.addresses 10.77.0.2/24 "
               f"ipv4.gateway {ROUTER} ipv4.dns {ROUTER} ipv6.method disabled", "nmcli connection up wan")
profile(laptop)
service(laptop, "job", upgrade("job"))

with subtest("NetworkManager reports full, the cache is unreachable"):
    laptop.wait_until_succeeds("nmcli -t -f CONNECTIVITY general | grep -x full", timeout=60)
    laptop.fail("curl -fsS --max-time 5 http://cache.test/nix-cache-info")

with subtest("held for DNS"):
    laptop.succeed("systemctl start --no-block job")
    held(laptop, "dns")
    laptop.sleep(5)
    assert begun(laptop, "job") == 0
    assert laptop.get_unit_property("job.service", "ActiveState") == "active"

with subtest("opens when DNS answers, without any local event"):
    names(laptop, "isp", "isp0", unit="lab-dns-again")
    finished(laptop, "job.service")
    assert begun(laptop, "job") == runs(laptop, "job") == 1
