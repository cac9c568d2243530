"""A push over ssh to a laptop of the other architecture that has just resumed: check says not now, wait-online waits, and the closure is copied."""
# machine: admin
# machine: laptop on other
# limit: 900 s

start_all()
cable(laptop)
laptop.succeed("ip link set eth1 up")
profile(laptop)
static_address(laptop)

laptop.succeed("mkdir -p /run/sshd /var/empty; id sshd > /dev/null 2>&1 || useradd --system sshd; "
               "ssh-keygen -q -t ed25519 -N '' -f /run/lab/host_key")
admin.succeed("mkdir -p /root/.ssh /run/lab /root/made; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; "
              "printf 'Host laptop\\nHostName 192.168.1.2\\nUser root\\nStrictHostKeyChecking no\\n' > /root/.ssh/config; "
              "head -c 300000 /dev/urandom > /root/made/file; nix-store --add /root/made > /run/lab/path")
write(laptop, "/root/.ssh/authorized_keys", admin.succeed("cat /root/.ssh/id_ed25519.pub"))
write(laptop, "/run/lab/sshd_config",
      f"HostKey /run/lab/host_key\nPidFile none\nUsePAM no\nStrictModes no\nSetEnv PATH={found(laptop)[2]}\n")
background(laptop, "lab-sshd", laptop.succeed("command -v sshd").strip() + " -D -e -f /run/lab/sshd_config")
admin.wait_until_succeeds("ssh laptop true", timeout=120)
with subtest("awake and online, check succeeds"):
    admin.succeed("ssh laptop upgrade-gate check --profile lab")

with subtest("just resumed, it answers ssh without a route to its cache: not now, with the reason"):
    unplug(laptop)
    suspend(laptop, 12)
    code, said = admin.execute("ssh laptop upgrade-gate check --profile lab 2>&1")
    assert code == 75, (code, said)
    assert "held" in said, said

with subtest("the waiting push starts when the laptop is online, and succeeds"):
    service(admin, "push", gated=None, command="path=$(cat /run/lab/path)\n"
            "ssh laptop upgrade-gate wait-online --profile lab --timeout 10min\n"
            "nix --extra-experimental-features nix-command copy --no-check-sigs --to ssh://laptop $path")
    admin.succeed("systemctl start --no-block push")
    held(laptop, "(no_network|no_route|dns|unreachable|settling)")
    laptop.fail("ls /nix/store/*-made/file")
    plug(laptop)
    finished(admin, "push.service", timeout=240)
    sums = [m.succeed(f"sha256sum < {p}") for m, p in ((admin, "/root/made/file"), (laptop, "/nix/store/*-made/file"))]
    assert sums[0] == sums[1]
