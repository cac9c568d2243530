"""Neither NetworkManager nor networkd: the kernel's routes and the gate's own probe are enough, across a resume too."""
# machine: laptop

cable(laptop)
profile(laptop)
service(laptop, "job", upgrade("job"))

with subtest("held without a network, opened by the kernel's routes"):
    laptop.succeed("systemctl start --no-block job")
    held(laptop, "(no_network|no_route)")
    static_address(laptop)
    finished(laptop, "job.service")
    assert runs(laptop, "job") == 1

with subtest("the default route is missing on resume and comes back later"):
    laptop.succeed(f"ip route del default via {ROUTER}")
    suspend(laptop, 9, due=["job"])
    held(laptop, "(no_network|no_route)")
    assert begun(laptop, "job") == 1
    laptop.succeed(f"ip route add default via {ROUTER}")
    finished(laptop, "job.service", times=2)
    assert begun(laptop, "job") == runs(laptop, "job") == 2
