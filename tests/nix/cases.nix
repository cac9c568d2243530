# What configurations come to, as sentences; `report` says which of them hold.
let
  common = rec {
    evaluate = import ./evaluate.nix;
    gate = "/store/upgrade-gate/bin/upgrade-gate";

    # a configuration with upgrade-gate enabled
    enabled =
      rest:
      (evaluate {
        imports = [
          { services.upgrade-gate.enable = true; }
          rest
        ];
      }).config;

    upgrade =
      rest:
      enabled {
        services.upgrade-gate.autoUpgrade.enable = true;
        system.autoUpgrade = {
          enable = true;
        }
        // rest;
      };

    flake = upgrade {
      flake = "github:me/config";
      flags = [
        "--update-input"
        "nixpkgs"
      ];
    };
    channel = upgrade { channel = "https://nixos.org/channels/nixos-25.11"; };
    fwupd = enabled {
      services.upgrade-gate.fwupdRefresh.enable = true;
      services.fwupd.enable = true;
    };

    # what the program is asked for
    gates =
      config:
      let
        found = builtins.filter (package: package.name or "" == "upgrade-gate-drop-ins") config.systemd.packages;
      in
      builtins.filter (line: builtins.match "gate .*" line != null) (lines (builtins.head found).text);

    # what upgrade-gate.toml is made of
    settings =
      config:
      let
        file = config.environment.etc."upgrade-gate/upgrade-gate.toml".source.text;
        written = builtins.match "cp (.*) root/etc/upgrade-gate/.*" (builtins.elemAt (lines file) 1);
      in
      builtins.fromJSON (builtins.head written);

    lines = text: builtins.filter builtins.isString (builtins.split "\n" text);

    has = part: text: builtins.replaceStrings [ part ] [ "" ] text != text;

    online = {
      script = "true";
      wants = [
        "network-online.target"
        "other.service"
      ];
      after = [ "network-online.target" ];
    };
  };

  # sentence = [ what it comes to, what it must be ]
  sentences =
    import ./cases/complaints.nix common
    // import ./cases/installation.nix common
    // import ./cases/units.nix common
    // import ./cases/upgrades.nix common;

  outcome =
    sentence: pair:
    let
      got = builtins.elemAt pair 0;
      wanted = builtins.elemAt pair 1;
      found = builtins.tryEval (builtins.deepSeq got got);
      shown = if found.success then builtins.toJSON found.value else "an error";
    in
    if found.success && found.value == wanted then
      "ok      ${sentence}"
    else
      "FAILED  ${sentence}\n        expected ${builtins.toJSON wanted}\n        found    ${shown}";
in
{
  report = builtins.concatStringsSep "\n" (
    builtins.attrValues (builtins.mapAttrs outcome sentences)
  );
}
