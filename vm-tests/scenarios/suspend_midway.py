"""The lid is closed during a download from a binary cache: the attempt is interrupted and repeated, and the closure is complete."""
# machine: laptop
# limit: 600 s

cable(laptop)
static_address(laptop)
write(laptop, "/run/lab/closure.sh", """
mkdir -p /root/made; cd /root/made
for part in one two three; do head -c 700000 /dev/urandom > $part; done
printf %s "$(nix-store --add /root/made)" > /run/lab/path
nix --extra-experimental-features nix-command copy --to 'file:///run/lab/www?compression=none' $(cat /run/lab/path)
""")
# a slow line: 100 kB a second
write(laptop, "/run/lab/slow.py", f"""
import functools, http.server, time
class Handler(http.server.SimpleHTTPRequestHandler):
    def copyfile(self, source, target):
        while chunk := source.read(20000):
            target.write(chunk)
            time.sleep(0.2)
http.server.ThreadingHTTPServer(("{CACHE}", 8080), functools.partial(Handler, directory="/run/lab/www")).serve_forever()
""")
laptop.succeed("bash -eu /run/lab/closure.sh")
background(laptop, "lab-slow", "python3 /run/lab/slow.py", "isp")
profile(laptop, attempts=5)
service(laptop, "job", """
echo attempt >> /run/lab/attempts
nix --extra-experimental-features nix-command copy --no-check-sigs --from http://cache.test:8080 --to 'local?root=/root/other' \\
    --option connect-timeout 2 --option stalled-download-timeout 2 --option download-attempts 1 $(cat /run/lab/path)
echo run >> /run/lab/job.runs""")

with subtest("suspended during the download"):
    laptop.succeed("systemctl start --no-block job")
    laptop.wait_until_succeeds("test -e /run/lab/attempts", timeout=60)
    laptop.sleep(8)
    # the network is away for 10 s after the resume
    unplug(laptop)
    suspend(laptop, 6)
    assert runs(laptop, "job") == 0
    laptop.sleep(10)
    plug(laptop)

with subtest("finished after more than one attempt"):
    finished(laptop, "job.service", timeout=300)
    assert runs(laptop, "job") == 1
    assert int(laptop.succeed("wc -l < /run/lab/attempts")) >= 2
    laptop.succeed("diff -r /root/made /root/other$(cat /run/lab/path)")
    laptop.succeed("nix --extra-experimental-features nix-command store verify --no-trust --store 'local?root=/root/other' $(cat /run/lab/path)")
