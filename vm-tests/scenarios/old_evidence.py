"""The cache is proven just before a suspend, and unreachable on resume without any local change: the earlier proof no longer counts."""
# machine: laptop

cable(laptop)
# long enough to fall asleep in it
profile(laptop, settle="15s")
service(laptop, "job", upgrade("job"))
laptop.succeed("systemctl start --no-block job")
held(laptop, "(no_network|no_route)")

with subtest("suspended while the gate is settling"):
    static_address(laptop)
    held(laptop, "settling")
    # addresses and routes stay as they are
    laptop.succeed("systemctl stop lab-cache")
    suspend(laptop, 6)

with subtest("held after resume"):
    held(laptop, "unreachable")
    laptop.sleep(20)
    assert begun(laptop, "job") == 0

with subtest("the cache is back"):
    background(laptop, "lab-cache", f"busybox httpd -f -p {CACHE}:80 -h /run/lab/www", "isp")
    finished(laptop, "job.service")
    assert begun(laptop, "job") == runs(laptop, "job") == 1
