"""Hotel Wi-Fi: every name resolves to the portal and TLS to the cache fails; the gate opens after a login at the portal."""
# machine: laptop with networkmanager
# limit: 600 s

CHECK = "http://check.test/"
access_point(laptop)
laptop.succeed("mkdir -p /run/lab/tls /run/lab/check",
               "cd /run/lab/tls; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=lab "
               "-keyout ca.key -out ca.pem 2> /dev/null; "
               "for name in cache portal; do "
               "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=$name.test -keyout $name.key -out $name.csr 2> /dev/null; "
               "echo subjectAltName=DNS:$name.test > ext; "
               "openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -days 30 -extfile ext -out $name.pem 2> /dev/null; done")
write(laptop, "/run/lab/tls-server.py", """
import http.server, ssl, sys
address, port, name, redirect = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"StoreDir: /nix/store\\n" if self.path == "/nix-cache-info" else b"NetworkManager is online\\n"
        self.send_response(302 if redirect != "-" else 200)
        if redirect != "-":
            self.send_header("Location", redirect)
            body = b"<html>please sign in"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer((address, port), Handler)
if name != "-":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"/run/lab/tls/{name}.pem", f"/run/lab/tls/{name}.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
""")
serve = "python3 /run/lab/tls-server.py"
# the Internet: the cache with its certificate, and what NetworkManager's check asks
laptop.succeed("ip -n ap addr add 10.89.0.1/32 dev lo")
background(laptop, "lab-cache-tls", f"{serve} {CACHE} 443 cache -", "ap")
background(laptop, "lab-check", f"{serve} 10.89.0.1 80 - -", "ap")
# the portal
background(laptop, "lab-portal", f"{serve} {ROUTER} 80 - http://portal.test/", "ap")
background(laptop, "lab-portal-tls", f"{serve} {ROUTER} 443 portal -", "ap")


def sign_out():
    laptop.succeed("systemctl stop lab-dns")
    names(laptop, "ap", "ap0", answer=f"--address=/#/{ROUTER}")


def sign_in():
    laptop.succeed("systemctl stop lab-dns")
    names(laptop, "ap", "ap0", answer=f"--address=/cache.test/{CACHE} --address=/check.test/10.89.0.1")


sign_in()
wifi(laptop)
sign_out()
profile(laptop, targets=["nix-cache:https://cache.test"])
fetch = "curl -fsS --max-time 10 https://cache.test/nix-cache-info >&2; echo run >> /run/lab/job.runs"
service(laptop, "job", fetch, extra="Environment=SSL_CERT_FILE=/run/lab/tls/ca.pem CURL_CA_BUNDLE=/run/lab/tls/ca.pem")

with subtest("held for the portal"):
    laptop.succeed("systemctl start --no-block job")
    held(laptop, "portal")
    # the longest back-off there is in the first minutes
    laptop.sleep(25)
    held(laptop, "portal")
    assert runs(laptop, "job") == 0

with subtest("after the login it opens within 35 s, without any local event"):
    sign_in()
    finished(laptop, "job.service", timeout=38)
    assert runs(laptop, "job") == 1

with subtest("with NetworkManager's connectivity check, it opens immediately"):
    write(laptop, "/run/NetworkManager/conf.d/check.conf", f"[connectivity]\nuri={CHECK}\ninterval=300\n")
    sign_out()
    laptop.succeed("systemctl reload NetworkManager")
    laptop.wait_until_succeeds("nmcli networking connectivity check | grep -x portal", timeout=60)
    laptop.succeed("systemctl start --no-block job")
    held(laptop, "portal")
    laptop.sleep(25)
    sign_in()
    laptop.wait_until_succeeds("nmcli networking connectivity check | grep -x full", timeout=30)
    finished(laptop, "job.service", times=2, timeout=10)
    assert runs(laptop, "job") == 2
