# A NixOS machine that uses all of the module: its units, and the file that upgrade-gate has checked; needs nixpkgs.
{ pkgs, module }:
let
  inherit
    (pkgs.nixos [
      module
      {
        boot.isContainer = true;
        system.stateVersion = "25.11";
        services.fwupd.enable = true;
        system.autoUpgrade.enable = true;
        system.autoUpgrade.flake = "github:me/config";
        services.upgrade-gate = {
          enable = true;
          autoUpgrade.enable = true;
          fwupdRefresh.enable = true;
          watch.enable = true;
          autoUpgrade.whenOnline = "20h";
          settings.watch.rearm = [ "fwupd-refresh.service" ];
          settings.profile.nixos-upgrade.power.battery_at_least = 40;
          units = {
            run = { };
            pre.mode = "pre";
            condition.mode = "condition";
            companion.mode = "companion";
          };
        };
        systemd.services =
          pkgs.lib.genAttrs
            [
              "run"
              "pre"
              "condition"
              "companion"
            ]
            (_: {
              script = "true";
            });
      }
    ])
    config
    ;
  wrong = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  inherit (config.environment) etc;
in
if wrong != [ ] then
  throw (builtins.concatStringsSep "\n" wrong)
else
  pkgs.linkFarm "upgrade-gate-module" {
    system = etc."systemd/system".source;
    "upgrade-gate.toml" = etc."upgrade-gate/upgrade-gate.toml".source;
  }
