# The scenarios as modules of NixOS's test framework: { NAME = module; }, NAME-swapped for a mixed one the other way round.
# `system` is the machine's that runs them; `package` gives upgrade-gate for a set of packages.
{
  lib,
  system,
  package ? pkgs: pkgs.callPackage ../package.nix { },
}:
let
  inherit (builtins) elemAt filter match readFile;

  files = filter (lib.hasSuffix ".py") (lib.attrNames (builtins.readDir ./scenarios));
  other =
    {
      x86_64-linux = "aarch64-linux";
      aarch64-linux = "x86_64-linux";
    }
    .${system};

  # what vm-tests/driver/scenario.py reads, too
  read =
    file:
    let
      text = readFile (./scenarios + "/${file}");
      lines = lib.splitString "\n" text;
      # whatever else a machine is `with`, every machine here has: the module brings all that is shipped
      machine = match "# machine: ([a-z_]+)( on other)?( by [a-z-]+)?( with .*)?";
      networks = [
        "networkmanager"
        "networkd"
      ];
      limits = filter (m: m != null) (map (match "# limit: ([0-9]+) s") lines);
    in
    {
      name = lib.removeSuffix ".py" file;
      script = text;
      # an emulated machine boots in minutes, and this limit counts the boot
      limit = 1800 + (if limits == [ ] then 600 else lib.toInt (lib.head (lib.head limits)));
      nodes = map (m: {
        name = elemAt m 0;
        foreign = elemAt m 1 != null;
        network = lib.findFirst (word: lib.elem word networks) null (
          lib.splitString " " (toString (elemAt m 3))
        );
      }) (filter (m: m != null) (map machine lines));
    };

  mixed = scenario: lib.any (node: node.foreign) scenario.nodes;

  machine =
    hostPkgs: platform: number: network:
    { lib, pkgs, ... }:
    let
      address = "192.168.1.${toString number}";
    in
    {
      imports = [ ../module.nix ];
      # the framework gives every machine the host's own packages
      nixpkgs.pkgs = lib.mkIf (platform != system) (
        lib.mkForce (
          import hostPkgs.path {
            inherit (hostPkgs) config overlays;
            system = platform;
          }
        )
      );
      services.upgrade-gate = {
        enable = true;
        package = package pkgs;
      };
      # units that a scenario wants at the next boot
      boot.extraSystemdUnitPaths = [ "/etc/systemd-mutable/system" ];
      environment.systemPackages = [
        pkgs.curl
        pkgs.busybox
        pkgs.dnsmasq
        pkgs.hostapd
        pkgs.iproute2
        pkgs.iw
        pkgs.openssl
        pkgs.openssh
        pkgs.python3
      ];
      # the framework numbers machines by their names
      networking.primaryIPAddress = lib.mkForce address;
      networking.interfaces.eth1.ipv4.addresses = lib.mkForce [
        {
          inherit address;
          prefixLength = 24;
        }
      ];
      # dhcpcd would configure every card that a scenario makes
      networking.useDHCP = lib.mkForce false;
      # one person's network at a time: eth1 is the test framework's, access points are the scenario's
      networking.firewall.enable = false;
      networking.networkmanager = {
        enable = network == "networkmanager";
        unmanaged = [
          "interface-name:eth*"
          "interface-name:ap*"
          "interface-name:lan*"
        ];
        settings.main.no-auto-default = "*";
      };
      systemd.services.NetworkManager-wait-online.enable = false;
      systemd.network.enable = network == "networkd";
      systemd.network.wait-online.enable = false;
      services.resolved.enable = lib.mkForce false;
      nix.settings = {
        experimental-features = [
          "nix-command"
          "flakes"
        ];
        substituters = lib.mkForce [ ];
      };
      virtualisation = {
        memorySize = 1024;
        writableStore = true;
        # without it the firmware offers no S3, and a suspend is only s2idle; `virt` has s2idle alone
        qemu.options = lib.optionals (platform == "x86_64-linux") [
          "-machine q35"
          "-global ICH9-LPC.disable_s3=0"
        ];
      };
    };

  # The framework gives all nodes one QEMU, and by default one that runs the host's own CPU only. `qemu-kvm` is what it calls
  # for x86_64, whatever the host.
  bothArchitectures =
    hostPkgs:
    hostPkgs.symlinkJoin {
      name = "qemu-both";
      paths = [ hostPkgs.qemu ];
      postBuild = ''
        rm -f $out/bin/qemu-kvm
        printf '#!/bin/sh\nexec %s -machine accel=kvm:tcg "$@"\n' $out/bin/qemu-system-x86_64 > $out/bin/qemu-kvm
        chmod +x $out/bin/qemu-kvm
      '';
    }
    // {
      inherit (hostPkgs) stdenv;
    };

  module =
    here: there: suffix: scenario:
    { hostPkgs, ... }:
    {
      name = "upgrade-gate-${scenario.name}${suffix}";
      globalTimeout = scenario.limit;
      qemu.package = lib.mkIf (mixed scenario) (bothArchitectures hostPkgs);
      nodes = lib.listToAttrs (
        lib.imap1 (number: node: {
          inherit (node) name;
          value = machine hostPkgs (if node.foreign then there else here) number node.network;
        }) scenario.nodes
      );
      # the scenarios' helpers take machines without saying so
      skipTypeCheck = true;
      testScript = readFile ./common.py + scenario.script;
    };

  scenarios = map read files;
in
lib.listToAttrs (
  map (s: lib.nameValuePair s.name (module system other "" s)) scenarios
  ++ map (s: lib.nameValuePair "${s.name}-swapped" (module other system "-swapped" s)) (
    filter mixed scenarios
  )
)
