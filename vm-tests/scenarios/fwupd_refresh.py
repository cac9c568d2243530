"""fwupd's own refresh, due during a suspend, starts before the cable is back: ungated, it downloads nothing; gated, it waits and downloads signed metadata."""
# machine: laptop
# limit: 900 s

if laptop.execute("systemctl cat fwupd-refresh.service > /dev/null && test -d /etc/pki/fwupd-metadata")[0] != 0:
    skip("this machine has no fwupd")

cable(laptop)
static_address(laptop)
# a remote of our own, signed as fwupd wants it: a checksum and a PKCS#7 signature, wrapped in a gzipped JSON
write(laptop, "/run/lab/sign.py", """
import gzip, hashlib, json, subprocess, sys, time
data = gzip.compress(b'<?xml version="1.0"?><components origin="lab" version="0.9"></components>')
open("/run/lab/www/firmware.xml.gz", "wb").write(data)
sign = "openssl smime -sign -binary -md sha256 -outform PEM -signer /run/lab/signer.pem -inkey /run/lab/signer.key".split()
signature = subprocess.run(sign, input=data, stdout=subprocess.PIPE, check=True).stdout.decode()
SHA256, PKCS7, UTF8 = 1, 3, 1
blobs = [{"Kind": kind, "Flags": UTF8, "Timestamp": int(time.time()), "Data": text}
         for kind, text in ((SHA256, hashlib.sha256(data).hexdigest()), (PKCS7, signature))]
jcat = {"JcatVersionMajor": 0, "JcatVersionMinor": 1, "Items": [{"Id": "firmware.xml.gz", "Blobs": blobs}]}
open("/run/lab/www/firmware.xml.gz.jcat", "wb").write(gzip.compress(json.dumps(jcat).encode()))
""")
laptop.succeed(
    "cd /run/lab; new='req -newkey rsa:2048 -nodes -batch'; "
    "openssl $new -x509 -subj /CN=lab-ca -addext keyUsage=keyCertSign -keyout ca.key -out ca.pem 2> /dev/null; "
    "openssl $new -subj /CN=lab -keyout signer.key -out signer.csr 2> /dev/null; "
    "echo keyUsage=digitalSignature > ext; "
    "openssl x509 -req -in signer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -out signer.pem 2> /dev/null; "
    "cp ca.pem /etc/pki/fwupd-metadata/lab.pem; python3 sign.py")
# instead of the remotes on the Internet; the copy is mounted, as /etc can be read-only
write(laptop, "/run/lab/fwupd/remotes.d/lab.conf",
      "[fwupd Remote]\nEnabled=true\nTitle=lab\nMetadataURI=http://cache.test/firmware.xml.gz\n")
laptop.succeed("cp -L /etc/fwupd/fwupd.conf /run/lab/fwupd/; mount --bind /run/lab/fwupd /etc/fwupd")

fetched = "fwupdmgr get-remotes | grep Age:"
profile(laptop, "fwupd-refresh")
dropped = "/run/systemd/system/fwupd-refresh.service.d"
laptop.succeed(f"mkdir -p {dropped}; upgrade-gate drop-in fwupd-refresh | sed 's,/usr/bin/upgrade-gate,{gate(laptop)},' > {dropped}/upgrade-gate.conf")
laptop.succeed("cp $(systemctl show -P FragmentPath fwupd-refresh) /run/systemd/system/ungated-refresh.service",
               "systemctl daemon-reload", "systemctl start fwupd.service", timeout=300)

with subtest("both are due during the suspend, and the cable is unplugged"):
    unplug(laptop)
    suspend(laptop, 9, due=["fwupd-refresh", "ungated-refresh"])

with subtest("the ungated one has finished, and downloaded nothing"):
    # fwupd 2 calls an unreachable remote 101, which its unit takes for a success; before that it was a failure
    laptop.wait_until_succeeds("journalctl -o cat -u ungated-refresh | grep -E 'Deactivated successfully|Failed with result'", timeout=180)
    laptop.fail(fetched)

with subtest("the gated one waits, and downloads when the cable is plugged in"):
    held(laptop, "(no_network|no_route|dns|unreachable)", name="fwupd-refresh")
    plug(laptop)
    finished(laptop, "fwupd-refresh.service", timeout=180)
    laptop.succeed(fetched)
