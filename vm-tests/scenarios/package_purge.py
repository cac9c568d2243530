"""apt installs the Debian package with one command, nothing is enabled, all of it works, and after a purge with the watch running and drop-ins written nothing is left."""
# machine: laptop

package = debian_package(laptop)
# what apt, dpkg and the journal keep of any package, and what an index of manual pages is
own = " -o ".join(f"-path {path}" for path in ("/proc", "/sys", "/dev", "/tmp", "/run/lab", "/run/systemd", "/run/udev", "/run/log", "/var/log",
                                               "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/lib/systemd/deb-systemd-helper-enabled"))
everything = f"find / \\( {own} \\) -prune -o -print | sort"
watch = "upgrade-gate-watch.service"
dropped = "/etc/systemd/system"

laptop.succeed(f"{APT} purge upgrade-gate >&2; mkdir -p /run/lab; {everything} > /run/lab/before; ! grep upgrade-gate /run/lab/before >&2")

with subtest("one command installs it, and enables nothing"):
    laptop.succeed(f"{APT} install {package} >&2", "dpkg --verify upgrade-gate")
    assert laptop.get_unit_property(watch, "ActiveState") == "inactive"
    laptop.fail("systemctl is-enabled upgrade-gate-watch.service upgrade-gate-guard.service upgrade-gate-guard-boot.timer | grep -w enabled")
    laptop.fail("find /etc -name '*upgrade-gate*' | grep .")

with subtest("the program, the manual, the completion and the watch work"):
    code, said = laptop.execute("upgrade-gate check --target tcp://127.0.0.1:9")
    assert code == 75, (code, said)
    laptop.succeed("MANPAGER=cat man upgrade-gate-run | grep -q 'upgrade-gate run'", timeout=120)
    laptop.succeed("bash -c '. /usr/share/bash-completion/bash_completion; COMP_WORDS=(upgrade-gate) COMP_CWORD=0; "
                   "_comp_load upgrade-gate || _completion_loader upgrade-gate; complete -p upgrade-gate'")
    write(laptop, "/run/upgrade-gate/upgrade-gate.d/watch.toml", f'[profile.default]\ntargets = ["{TARGET}"]\n')
    laptop.succeed(f"systemctl enable --now {watch}; systemctl is-active {watch}", timeout=120)

with subtest("a purge removes the watch, its state and the drop-ins, and no drop-in of anyone else"):
    laptop.succeed("upgrade-gate drop-in fwupd-refresh --write >&2", f"cp -r {share(laptop)}/drop-ins/apt-daily.service.d {dropped}/",
                   f"mkdir -p {dropped}/other.service.d; echo '# mine' > {dropped}/other.service.d/upgrade-gate.conf",
                   "mkdir -p /etc/upgrade-gate; echo > /etc/upgrade-gate/upgrade-gate.toml", "dpkg --verify upgrade-gate")
    laptop.succeed(f"{APT} purge upgrade-gate >&2")
    laptop.fail("command -v upgrade-gate", "pidof upgrade-gate")
    assert laptop.get_unit_property(watch, "LoadState") == "not-found"
    laptop.succeed(f"test -e {dropped}/other.service.d/upgrade-gate.conf; rm -r {dropped}/other.service.d")
    laptop.succeed(f"{everything} > /run/lab/after; diff /run/lab/before /run/lab/after >&2")
    assert laptop.succeed("systemctl --failed --no-legend").strip() == ""
