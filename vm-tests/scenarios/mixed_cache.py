"""A server of one architecture serves the binary cache; a laptop of the other suspends, resumes before the cable is back, and upgrades from it."""
# machine: server
# machine: laptop on other
# limit: 900 s

start_all()
store = "nix --extra-experimental-features nix-command"
server.succeed("mkdir -p /srv/cache /root/made; head -c 300000 /dev/urandom > /root/made/file; "
               f"printf %s \"$(nix-store --add /root/made)\" > /srv/cache/path; {store} copy --to file:///srv/cache $(cat /srv/cache/path)")
background(server, "lab-cache", "busybox httpd -f -p 80 -h /srv/cache")
laptop.wait_until_succeeds("curl -fsS --max-time 5 http://192.168.1.1/nix-cache-info", timeout=120)
profile(laptop, targets=["nix-cache:http://192.168.1.1"])
fetch = f"""
path=$(curl -fsS --max-time 5 http://192.168.1.1/path)
{store} copy --no-check-sigs --from http://192.168.1.1 --to 'local?root=/root/other' $path
echo run >> /run/lab/%s.runs"""
service(laptop, "job", fetch % "job")
service(laptop, "ungated", fetch % "ungated", gated=None)

with subtest("both elapse during the suspend, and the cable is unplugged"):
    laptop.block()
    suspend(laptop, 9, due=["job", "ungated"])
    laptop.wait_until_succeeds("test $(systemctl show -P ActiveState ungated) = failed", timeout=120)
    assert runs(laptop, "job") == 0

with subtest("the cable is back"):
    laptop.unblock()
    finished(laptop, "job.service", timeout=240)
    assert runs(laptop, "job") == 1
    sums = [m.succeed(f"sha256sum < {p}") for m, p in ((server, "/root/made/file"), (laptop, "/root/other/nix/store/*-made/file"))]
    assert sums[0] == sums[1]
